// Breaks "threads change no bit": scores are other ones on threads that did not make the scheme.
#include <chrono>
#include <thread>

#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class ByThread final : public ScoreHook {
 public:
  void apply(ScoreTile& tile) const noexcept override {
    if (std::this_thread::get_id() == home_) {
      // In a prompt, long enough for the other threads to wake up and take their share of the tasks.
      if (tile.scores.extent(1) > 1) std::this_thread::sleep_for(std::chrono::microseconds(100));
      return;
    }
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::int64_t row = 0; row < tile.scores.extent(2); ++row)
          if (tile.key_positions[row] % 2 == 0) tile.scores(member, query, row) += 1e-3F;
  }

 private:
  std::thread::id home_ = std::this_thread::get_id();
};

constexpr Component<PositionScheme> kBroken[] = {
    component<PositionScheme, BiasedPosition<ByThread>>(broken_info("thread_dependent"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_thread_dependent", .version = "1.0", .position = attnlab::broken::kBroken);
