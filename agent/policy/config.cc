// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/config.h"

namespace postern::policy {

Reach ReachOf(const Rule& rule) {
  const bool confined = rule.action == POSTERN_ACTION_ALLOW && rule.says_who();
  Reach reach;
  if (rule.container.has_value()) {
    reach.in_container = *rule.container;
    reach.outside_container = !*rule.container;
  } else {
    reach.in_container = !confined;
  }
  if (rule.user_namespace.has_value()) {
    reach.in_user_namespace = *rule.user_namespace == UserNamespace::kAny;
  } else {
    reach.in_user_namespace = !confined;
  }
  return reach;
}

}  // namespace postern::policy
