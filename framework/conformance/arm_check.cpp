#include "conformance/arm_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "assembly/arm_cost.h"
#include "assembly/feeding.h"
#include "steps/checking_steps.h"

namespace attnlab::experiment {
namespace {

constexpr double kMostScores = 3e5;      // that are computed anew of a case: some 50 ms
constexpr double kMostOperations = 4e9;  // multiply-adds of a prompt that goes through the model: 0.1 s
constexpr int kLeastPrompt = 16;         // tokens of it that do in any case
constexpr int kAlike = 2;                // sequences of the same lengths
constexpr double kMostOfProduct = 3e4;   // multiply-adds of a product that are done anew
constexpr int kMostTokens = 4;           // of a call of the other steps
constexpr int kRowStride = 16;           // of the cached rows one in so many is remembered

bool is_finite(TensorView<const float, 2> rows) {
  for (std::int64_t row = 0; row < rows.extent(0); ++row)
    for (std::int64_t i = 0; i < rows.extent(1); ++i)
      if (!std::isfinite(rows(row, i))) return false;
  return true;
}

// A few sequences of every kind.
CaseFeeding thinned(const CaseFeeding& feeding) {
  CaseFeeding thin{.decodes = feeding.decodes};
  std::map<std::pair<int, int>, int> seen;
  for (std::size_t i = 0; i < feeding.filled.size(); ++i) {
    if (++seen[{feeding.filled[i], feeding.prompts[i]}] > kAlike) continue;
    thin.capacities.push_back(feeding.capacities[i]);
    thin.filled.push_back(feeding.filled[i]);
    thin.prompts.push_back(feeding.prompts[i]);
  }
  return thin;
}

// Feeds a case once and looks at what comes out of the model.
class Feeder {
 public:
  explicit Feeder(model::Decoder& decoder)
      : decoder_(decoder), logits_(static_cast<std::size_t>(decoder.config().vocab_size)) {}

  void feed(const CaseFeeding& feeding) {
    const int sequences = static_cast<int>(feeding.filled.size());
    model::Session session = decoder_.make_session(feeding.capacities);
    fill_caches(decoder_, session, feeding.filled, 1);
    // What of the prompts is too long for the model's own rows is made up, as their beginning.
    const int most = most_tokens(std::ranges::max(feeding.capacities));
    std::vector<int> begun = feeding.filled, ends = feeding.filled, left = feeding.prompts;
    for (int i = 0; i < sequences; ++i) {
      ends[i] += feeding.prompts[i];
      left[i] = std::min(left[i], most);
      begun[i] = ends[i] - left[i];
    }
    begin_prompts(decoder_, session, begun, ends, 1);
    const int vocab = decoder_.config().vocab_size;
    const std::vector<model::TokenId> tokens = spread_tokens(std::max(std::ranges::max(left), sequences), vocab, 1);
    feed_batch(decoder_, session, left, tokens,
               [&](TensorView<const float, 2> hidden, std::span<const std::int64_t> last_rows) {
                 finite_ = finite_ && is_finite(hidden);
                 for (const std::int64_t row : last_rows) look_at(hidden.slice(row, 1));
               });
    if (!feeding.decodes) return;
    const TensorView<const float, 2> hidden =
        feed_step(decoder_, session, std::span(tokens).last(static_cast<std::size_t>(sequences)));
    for (std::int64_t row = 0; row < hidden.extent(0); ++row) look_at(hidden.slice(row, 1));
  }
  [[nodiscard]] bool all_finite() const noexcept { return finite_; }

 private:
  [[nodiscard]] int most_tokens(int capacity) const {
    double of_token = 0, of_pass = 0;  // multiply-adds
    for (const LayerCost& layer : cost_of(decoder_, capacity).layers) {
      const PassCost& pass = layer.prefill;
      const int seen = layer.visible_rows > 0 ? std::min(layer.visible_rows, capacity) : capacity;
      of_token += pass.weights_per_token + pass.own_per_token + pass.heads * pass.per_pair * seen;
      of_pass += pass.weights_per_row * capacity;
    }
    const double tokens = (kMostOperations - of_pass) / of_token;
    return static_cast<int>(std::clamp<double>(tokens, kLeastPrompt, std::numeric_limits<int>::max()));
  }

  void look_at(TensorView<const float, 2> hidden) {
    const TensorView<float, 2> logits(logits_.data(), {1, decoder_.config().vocab_size});
    decoder_.logits(hidden, logits);
    finite_ = finite_ && is_finite(hidden) && is_finite({logits_.data(), {1, decoder_.config().vocab_size}});
  }

  model::Decoder& decoder_;
  std::vector<float> logits_;
  bool finite_ = true;
};

}  // namespace

std::optional<std::string> check_arm(model::Decoder& decoder, std::span<const CaseFeeding> feedings,
                                     bool allow_nonfinite) {
  Scratch scratch;
  CheckingSteps steps(scratch, [&](int layer) { return decoder.row_step(layer); },
                      {.scores = kMostScores / decoder.config().layers / static_cast<double>(feedings.size() + 1),
                       .multiply_adds = kMostOfProduct,
                       .tokens = kMostTokens,
                       .row_stride = kRowStride});
  Feeder feeder(decoder);
  {
    const model::WithSteps with(decoder, steps);
    for (const CaseFeeding& feeding : feedings) feeder.feed(thinned(feeding));
  }
  if (!allow_nonfinite && !feeder.all_finite()) return "the logits hold NaN or Inf";
  const StepDeviation& worst = steps.largest();
  if (worst.deviation > kArmTolerance && !(allow_nonfinite && !feeder.all_finite()))
    return fmt::format("{} is off its slow form by {:.2g} of the largest output; at most {:.2g} is rounding",
                       worst.text(), worst.deviation, kArmTolerance);
  return std::nullopt;
}

}  // namespace attnlab::experiment
