/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/attacks/connect/ring.h"

#include <linux/io_uring.h>
#include <stdint.h>
#include <sys/mman.h>

struct ring {
  int fd;
  unsigned *sq_tail, *sq_mask, *sq_array, *sq_flags, *cq_head, *cq_tail, *cq_mask;
  struct io_uring_sqe* sqes;
  struct io_uring_cqe* cqes;
};

static void ring_open(struct ring* ring, bool sqpoll) {
  struct io_uring_params params;
  memset(&params, 0, sizeof(params));
  if (sqpoll) {
    params.flags = IORING_SETUP_SQPOLL;
    params.sq_thread_idle = 1000;
  }
  ring->fd = (int)syscall(SYS_io_uring_setup, 4, &params);
  if (ring->fd < 0 && (errno == ENOSYS || errno == EPERM)) attack_missing("io_uring");
  if (ring->fd < 0) attack_fail("io_uring_setup");
  size_t sq_bytes = params.sq_off.array + params.sq_entries * sizeof(unsigned);
  size_t cq_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
  char* sq = mmap(NULL, sq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                  IORING_OFF_SQ_RING);
  char* cq = mmap(NULL, cq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                  IORING_OFF_CQ_RING);
  ring->sqes = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
  if (sq == MAP_FAILED || cq == MAP_FAILED || ring->sqes == MAP_FAILED) attack_fail("mmap");
  ring->sq_tail = (unsigned*)(sq + params.sq_off.tail);
  ring->sq_mask = (unsigned*)(sq + params.sq_off.ring_mask);
  ring->sq_array = (unsigned*)(sq + params.sq_off.array);
  ring->sq_flags = (unsigned*)(sq + params.sq_off.flags);
  ring->cq_head = (unsigned*)(cq + params.cq_off.head);
  ring->cq_tail = (unsigned*)(cq + params.cq_off.tail);
  ring->cq_mask = (unsigned*)(cq + params.cq_off.ring_mask);
  ring->cqes = (struct io_uring_cqe*)(cq + params.cq_off.cqes);
}

static int ring_submit(struct ring* ring, bool sqpoll, int fd,
                       const union attack_address* address) {
  unsigned tail = *ring->sq_tail;
  unsigned index = tail & *ring->sq_mask;
  struct io_uring_sqe* sqe = &ring->sqes[index];
  memset(sqe, 0, sizeof(*sqe));
  sqe->opcode = IORING_OP_CONNECT;
  sqe->fd = fd;
  sqe->addr = (uintptr_t)address;
  sqe->off = attack_length(address);
  ring->sq_array[index] = index;
  __atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  unsigned flags = IORING_ENTER_GETEVENTS;
  if (sqpoll && (__atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP) != 0) {
    flags |= IORING_ENTER_SQ_WAKEUP;
  }
  while (__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) == *ring->cq_head) {
    if (syscall(SYS_io_uring_enter, ring->fd, sqpoll ? 0 : 1, 1, flags, NULL, 0) < 0 &&
        errno != EINTR) {
      attack_fail("io_uring_enter");
    }
  }
  unsigned head = *ring->cq_head;
  int result = ring->cqes[head & *ring->cq_mask].res;
  __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
  return -result;
}

int ring_connect(bool sqpoll, int fd, const union attack_address* address) {
  static struct ring ring = {.fd = -1};
  static pid_t owner;
  if (owner != getpid()) {
    ring_open(&ring, sqpoll);
    owner = getpid();
  }
  return ring_submit(&ring, sqpoll, fd, address);
}
