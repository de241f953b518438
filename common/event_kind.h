// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_COMMON_EVENT_KIND_H_
#define POSTERN_COMMON_EVENT_KIND_H_

#include "postern/v1/event.pb.h"

namespace postern {

// Whether such an event is about a process and has a verdict; others tell of gaps
// and policies.
inline bool IsAttempt(v1::Event::Kind kind) {
  switch (kind) {
    case v1::Event::CONNECT:
    case v1::Event::RAW_SOCKET:
    case v1::Event::PACKET_SOCKET:
    case v1::Event::EARLIER_CONNECTION:
      return true;
    default:
      return false;
  }
}

// Whether it is about a socket that connects nowhere: no destination, port or rule.
inline bool IsRaw(v1::Event::Kind kind) {
  return kind == v1::Event::RAW_SOCKET || kind == v1::Event::PACKET_SOCKET;
}

// Whether a rule decided. None is asked about a canary, nor about an earlier connection
// that is left open.
inline bool HasRule(const v1::Event& event) {
  return !IsRaw(event.kind()) && event.kind() != v1::Event::CANARY &&
         !(event.kind() == v1::Event::EARLIER_CONNECTION && event.verdict() == v1::Event::ALLOWED);
}

}  // namespace postern

#endif  // POSTERN_COMMON_EVENT_KIND_H_
