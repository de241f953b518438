// SPDX-License-Identifier: Apache-2.0
// What lies where a store's files are, before it is opened: all of it has to be there,
// and nobody else's.
#ifndef POSTERN_SERVER_STORE_STORE_FILES_H_
#define POSTERN_SERVER_STORE_STORE_FILES_H_

#include <string>

#include "absl/status/status.h"

namespace postern::server {

// `catalog` may be missing, as may its folder of partitions: together they are a new
// store. Files that others may read or write are made their owner's alone, with one line
// in the log.
//
// kFailedPrecondition, with one line of what to do: partitions without their catalog; a
// file of another user; what is no file where a file has to be, or no folder.
absl::Status CheckStoreFiles(const std::string& catalog);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_STORE_FILES_H_
