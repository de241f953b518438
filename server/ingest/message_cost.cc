// SPDX-License-Identifier: Apache-2.0
#include "server/ingest/message_cost.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace postern::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// About what protobuf's C++ takes: an object's header and a pointer to it, eight bytes
// for each of its fields; a string and a pointer to it; a number in an array that grew,
// or of an unknown field.
constexpr size_t kMessageBytes = 64;
constexpr size_t kFieldBytes = 8;
constexpr size_t kStringBytes = 48;
constexpr size_t kNumberBytes = 16;

class Walk {
 public:
  Walk(CodedInputStream& in, size_t limit) : in_(in), left_(limit) {}

  // False: damaged, or past the limit.
  bool Through(const Descriptor& type) {
    if (!Charge(kMessageBytes + kFieldBytes * static_cast<size_t>(type.field_count()))) {
      return false;
    }
    while (const uint32_t tag = in_.ReadTag()) {
      if (!Field(type, tag)) return false;
    }
    return in_.ConsumedEntireMessage();
  }

  bool exceeded() const { return exceeded_; }

 private:
  bool Charge(size_t bytes) {
    exceeded_ = exceeded_ || bytes > left_;
    left_ -= exceeded_ ? 0 : bytes;
    return !exceeded_;
  }

  bool Field(const Descriptor& type, uint32_t tag) {
    uint64_t number = 0;
    uint32_t half = 0;
    switch (WireFormatLite::GetTagWireType(tag)) {
      case WireFormatLite::WIRETYPE_VARINT:
        return Charge(kNumberBytes) && in_.ReadVarint64(&number);
      case WireFormatLite::WIRETYPE_FIXED64:
        return Charge(kNumberBytes) && in_.ReadLittleEndian64(&number);
      case WireFormatLite::WIRETYPE_FIXED32:
        return Charge(kNumberBytes) && in_.ReadLittleEndian32(&half);
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
        return Bytes(type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag)));
      default:
        // Groups: nothing of ours has them.
        return false;
    }
  }

  // `field` is null where this build does not know it.
  bool Bytes(const FieldDescriptor* field) {
    int length = 0;
    if (!in_.ReadVarintSizeAsInt(&length)) return false;
    const bool numbers = field != nullptr && field->is_packable();
    if (field == nullptr || field->message_type() == nullptr) {
      const size_t each = numbers ? kNumberBytes : 1;
      return Charge(kStringBytes + each * static_cast<size_t>(length)) && in_.Skip(length);
    }
    const CodedInputStream::Limit outer = in_.PushLimit(length);
    const bool whole = Through(*field->message_type());
    in_.PopLimit(outer);
    return whole;
  }

  CodedInputStream& in_;
  size_t left_;
  bool exceeded_ = false;
};

}  // namespace

absl::Status CheckCost(google::protobuf::io::ZeroCopyInputStream& bytes, const Descriptor& type,
                       size_t limit) {
  CodedInputStream in(&bytes);
  Walk walk(in, limit);
  if (walk.Through(type)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      walk.exceeded()
          ? absl::StrCat("a message takes more than ", limit >> 20, " MiB once unpacked")
          : "a message is not valid (damaged); it was not stored");
}

}  // namespace postern::server
