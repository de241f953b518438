// SPDX-License-Identifier: Apache-2.0
#include "server/trust/message_watch.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::server {
namespace {

// How a client begins (RFC 9113, 3.4).
constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types and flags of frames (RFC 9113, 6).
constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kResetStream = 3;
constexpr uint8_t kEndStream = 0x1;
constexpr uint8_t kPadded = 0x8;
constexpr size_t kFrameHeader = 9;

// A byte that says whether it is compressed, and its length.
constexpr size_t kMessageHeader = 5;

uint32_t BigEndian(absl::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

// Appends to `head` what it lacks of `size` bytes; whether it has them then.
bool Fill(std::string& head, size_t size, absl::string_view& bytes) {
  const size_t take = std::min(size - head.size(), bytes.size());
  head.append(bytes.data(), take);
  bytes.remove_prefix(take);
  return head.size() == size;
}

}  // namespace

absl::Status MessageWatch::See(absl::string_view bytes) {
  RETURN_IF_ERROR(SeePreface(bytes));
  while (!bytes.empty()) {
    if (!in_frame_) {
      if (!Fill(frame_header_, kFrameHeader, bytes)) break;
      RETURN_IF_ERROR(BeginFrame());
    } else if (pad_length_) {
      pad_length_ = false;
      padding_ = static_cast<uint8_t>(bytes.front());
      bytes.remove_prefix(1);
      if (--left_ < padding_) return absl::InvalidArgumentError("what it sent is no HTTP/2");
    } else {
      const absl::string_view payload = bytes.substr(0, left_);
      if (type_ == kData && left_ > padding_) {
        RETURN_IF_ERROR(SeeData(payload.substr(0, left_ - padding_)));
      }
      bytes.remove_prefix(payload.size());
      left_ -= static_cast<uint32_t>(payload.size());
    }
    if (in_frame_ && left_ == 0) EndFrame();
  }
  return absl::OkStatus();
}

absl::Status MessageWatch::SeePreface(absl::string_view& bytes) {
  const absl::string_view expected = kPreface.substr(preface_seen_);
  const size_t compared = std::min(expected.size(), bytes.size());
  if (bytes.substr(0, compared) != expected.substr(0, compared)) {
    return absl::InvalidArgumentError("what it sent is no HTTP/2");
  }
  preface_seen_ += compared;
  bytes.remove_prefix(compared);
  return absl::OkStatus();
}

absl::Status MessageWatch::BeginFrame() {
  const absl::string_view header = frame_header_;
  left_ = BigEndian(header.substr(0, 3));
  type_ = static_cast<uint8_t>(header[3]);
  flags_ = static_cast<uint8_t>(header[4]);
  stream_ = BigEndian(header.substr(5)) & 0x7fffffff;
  frame_header_.clear();
  in_frame_ = true;
  padding_ = 0;
  // That of headers is of no interest here.
  pad_length_ = type_ == kData && (flags_ & kPadded) != 0;
  if (pad_length_ && left_ == 0) {
    return absl::InvalidArgumentError("what it sent is no HTTP/2");
  }
  if (type_ == kHeaders) ++opened_;
  if (type_ != kData) return absl::OkStatus();
  if (streams_.size() >= kMaxStreams && !streams_.contains(stream_)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("it has more than ", kMaxStreams, " streams that did not end"));
  }
  return absl::OkStatus();
}

absl::Status MessageWatch::SeeData(absl::string_view data) {
  Position& position = streams_[stream_];
  while (!data.empty()) {
    if (position.left > 0) {
      const size_t take = std::min<size_t>(position.left, data.size());
      position.left -= static_cast<uint32_t>(take);
      data.remove_prefix(take);
      continue;
    }
    if (!Fill(position.header, kMessageHeader, data)) break;
    const bool compressed = position.header[0] != 0;
    position.left = BigEndian(absl::string_view(position.header).substr(1));
    position.header.clear();
    if (compressed) {
      return absl::InvalidArgumentError(
          "it sends a message that gRPC has compressed, of which nobody knows the size");
    }
    if (position.left > max_message_bytes_) {
      return absl::ResourceExhaustedError(absl::StrCat("it sends a message of ", position.left,
                                                       " bytes; ", max_message_bytes_,
                                                       " are the most"));
    }
  }
  return absl::OkStatus();
}

void MessageWatch::EndFrame() {
  in_frame_ = false;
  const bool ends_stream =
      (type_ == kData || type_ == kHeaders) ? (flags_ & kEndStream) != 0 : type_ == kResetStream;
  if (ends_stream) streams_.erase(stream_);
}

}  // namespace postern::server
