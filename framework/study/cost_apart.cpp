#include "study/cost_apart.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "base/line_process.h"
#include "machine/memory.h"
#include "parallel/parallel.h"

namespace attnlab::experiment {
namespace {

constexpr double kMostSeconds = 10;  // of all passes; they take milliseconds

// What a plugin says, and what it takes: nothing of it is the plan's.
void keep_to_itself(const model::Decoder& decoder) {
  set_threads(1);  // those of the parent are not there
  const rlim_t most = static_cast<rlim_t>(memory_limit_bytes()) + decoder.weight_bytes();
  rlimit limit{};
  if (getrlimit(RLIMIT_DATA, &limit) == 0) {
    limit.rlim_cur = std::min(most, limit.rlim_max);
    (void)setrlimit(RLIMIT_DATA, &limit);
  }
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
    if (nowhere >= 0) dup2(nowhere, stream);
}

}  // namespace

ArmCost cost_apart(model::Decoder& decoder, int length) {
  LineProcess process([&](const LineProcess::Send& send) {
    keep_to_itself(decoder);
    send(nlohmann::json(cost_of(decoder, length)).dump());
  });
  if (const auto line = process.next(kMostSeconds)) try {
      return nlohmann::json::parse(*line).get<ArmCost>();
    } catch (const nlohmann::json::exception&) {  // a plugin reported work that is no number
    }
  return {.row_bytes = row_bytes(decoder)};
}

}  // namespace attnlab::experiment
