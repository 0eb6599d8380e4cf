#include "study/cost_apart.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/line_process.h"
#include "base/sanitizers.h"
#include "machine/data_limit.h"
#include "machine/memory.h"
#include "parallel/parallel.h"

namespace attnlab::experiment {
namespace {

constexpr double kMostSeconds = 10 * kTimesSlower;  // of all passes; they take milliseconds

// What a plugin says: nothing of it is the plan's.
void keep_to_itself() {
  set_threads(1);  // those of the parent are not there
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
    if (nowhere >= 0) dup2(nowhere, stream);
}

}  // namespace

ArmCost cost_apart(model::Decoder& decoder, int length) {
  LineProcess process([&](const LineProcess::Send& send) {
    keep_to_itself();
    const DataLimit limit(memory_limit_bytes() + decoder.weight_bytes());
    send(nlohmann::json(cost_of(decoder, length)).dump());
  });
  if (const auto line = process.next(kMostSeconds)) try {
      return nlohmann::json::parse(*line).get<ArmCost>();
    } catch (const nlohmann::json::exception&) {  // a plugin reported work that is no number
    }
  return {.row_bytes = row_bytes(decoder)};
}

}  // namespace attnlab::experiment
