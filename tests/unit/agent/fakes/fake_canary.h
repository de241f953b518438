// SPDX-License-Identifier: Apache-2.0
// Canaries that connect in a FakeKernel.
#ifndef POSTERN_TESTS_UNIT_AGENT_FAKES_FAKE_CANARY_H_
#define POSTERN_TESTS_UNIT_AGENT_FAKES_FAKE_CANARY_H_

#include "agent/canary/child.h"
#include "tests/unit/agent/fakes/fake_sensor.h"

namespace postern {

// `kernel` outlives what it makes. Each child has a pid of its own.
canary::MakeChild FakeCanaries(FakeKernel* kernel);

}  // namespace postern

#endif  // POSTERN_TESTS_UNIT_AGENT_FAKES_FAKE_CANARY_H_
