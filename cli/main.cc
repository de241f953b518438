// SPDX-License-Identifier: Apache-2.0
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "cli/run.h"

namespace {

std::optional<size_t> TerminalWidth() {
  if (isatty(STDOUT_FILENO) == 0) return std::nullopt;
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

// Threads started later inherit the mask, so that the signals wait for the
// descriptor instead of ending the process.
postern::UniqueFd TakeInterrupts() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return postern::UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC));
}

uint64_t Now() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

}  // namespace

int main(int argc, char** argv) {
  // A reader that has seen enough (`| head`) ends us quietly, even where whoever
  // started us ignores this signal.
  signal(SIGPIPE, SIG_DFL);
  // What gRPC has to say we say ourselves, in one line.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  std::ios::sync_with_stdio(false);
  postern::cli::Console console{.out = std::cout,
                                .err = std::cerr,
                                .width = TerminalWidth(),
                                .now = Now,
                                .take_interrupts = TakeInterrupts};
  return static_cast<int>(postern::cli::Run(argc, argv, console));
}
