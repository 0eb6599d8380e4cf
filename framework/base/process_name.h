// Names of temporary files on storage that several machines share.
#pragma once

#include <string>

#include <attnlab/api.h>

namespace attnlab {

/// As the system calls this host; "unknown" where it does not.
[[nodiscard]] ATTNLAB_API std::string host_name();

/// Of this host since it started: a few digits.
[[nodiscard]] ATTNLAB_API const std::string& host_token();

/// "<host token>-<process id>": unlike that of any other process that lives, here or elsewhere.
[[nodiscard]] ATTNLAB_API std::string process_name();

}  // namespace attnlab
