// SPDX-License-Identifier: Apache-2.0
// Reads along what a client sends, as far as it takes to know how large its messages
// are and how often it opens streams: frames of HTTP/2 (RFC 9113, 4.1) and, in their
// data, the five bytes before each message of gRPC.
//
// gRPC itself takes a message in whole before it compares its size with the limit
// (1.51, chttp2's grpc_deframe_unprocessed_incoming_frames lets the window grow to
// what was announced): 4 GiB from one peer. For one thread.
#ifndef POSTERN_SERVER_TRUST_MESSAGE_WATCH_H_
#define POSTERN_SERVER_TRUST_MESSAGE_WATCH_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace postern::server {

class MessageWatch {
 public:
  // Streams with a message that has not ended, at a time.
  static constexpr size_t kMaxStreams = 64;

  // Messages that gRPC has compressed are refused: it unpacks them without a limit.
  explicit MessageWatch(size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}

  // The next bytes, however they are cut. An error says what is wrong with them; none
  // of them may go on then.
  absl::Status See(absl::string_view bytes);

  // How many streams were opened since it was asked last.
  int TakeOpened() { return std::exchange(opened_, 0); }

 private:
  // Where a stream is within its messages.
  struct Position {
    std::string header;  // so much of the next one's as was seen
    uint32_t left = 0;   // bytes of the current one
  };

  absl::Status SeePreface(absl::string_view& bytes);
  absl::Status BeginFrame();
  absl::Status SeeData(absl::string_view data);
  void EndFrame();

  const size_t max_message_bytes_;
  size_t preface_seen_ = 0;
  std::string frame_header_;
  // Of the current frame.
  bool in_frame_ = false;
  uint8_t type_ = 0;
  uint8_t flags_ = 0;
  uint32_t stream_ = 0;
  uint32_t left_ = 0;        // bytes of its payload
  bool pad_length_ = false;  // the next byte is the length of the padding
  uint32_t padding_ = 0;     // bytes at the payload's end
  absl::flat_hash_map<uint32_t, Position> streams_;
  int opened_ = 0;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_MESSAGE_WATCH_H_
