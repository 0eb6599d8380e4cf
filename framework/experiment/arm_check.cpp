#include "experiment/arm_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiment/feeding.h"

namespace attnlab::experiment {
namespace {

constexpr int kPrompt = 9;           // and a decode step
constexpr int kRows = 100;           // more than a tile, for a decode step
constexpr double kMostScores = 3e4;  // that the reference computes: some 50 ms

bool is_finite(TensorView<const float, 2> rows) {
  for (std::int64_t row = 0; row < rows.extent(0); ++row)
    for (std::int64_t i = 0; i < rows.extent(1); ++i)
      if (!std::isfinite(rows(row, i))) return false;
  return true;
}

// Schemes with a table have a last position.
int room_for(const model::Decoder& decoder, int tokens) {
  for (int layer = 0; layer < decoder.config().layers; ++layer)
    if (const Position limit = decoder.position(layer).max_positions(); limit > 0)
      tokens = static_cast<int>(std::min<Position>(tokens, limit));
  return tokens;
}

// Feeds one step and looks at what comes out of the head for its last token.
class Feeder {
 public:
  explicit Feeder(model::Decoder& decoder)
      : decoder_(decoder), logits_(static_cast<std::size_t>(decoder.config().vocab_size)) {}

  void feed(model::Session& session, std::span<const model::TokenId> tokens, Phase phase) {
    const model::SequenceTokens fed{.sequence = 0, .tokens = tokens, .phase = phase};
    const auto hidden = decoder_.forward(session, {&fed, 1});
    const TensorView<float, 2> logits(logits_.data(), {1, decoder_.config().vocab_size});
    decoder_.logits(hidden.slice(hidden.extent(0) - 1, 1), logits);
    finite_ = finite_ && is_finite(hidden) && is_finite({logits_.data(), {1, decoder_.config().vocab_size}});
  }
  [[nodiscard]] bool all_finite() const noexcept { return finite_; }

 private:
  model::Decoder& decoder_;
  std::vector<float> logits_;
  bool finite_ = true;
};

}  // namespace

ReferenceComparison::~ReferenceComparison() = default;

void ReferenceComparison::attended(const AttendArgs& args, TensorView<const float, 3> out) {
  if (calls_++ % stride_ != 0) return;
  // A decode step that reads only some of the rows is not what the reference computes.
  if (args.source.selector() != nullptr && args.chunk.tokens() == args.chunk.sequences()) return;
  const std::vector<double> right = attend_reference(args);
  double largest = 1e-3;
  for (const double value : right) largest = std::max(largest, std::abs(value));
  std::size_t i = 0;
  for (std::int64_t token = 0; token < out.extent(0); ++token)
    for (std::int64_t head = 0; head < out.extent(1); ++head)
      for (std::int64_t j = 0; j < out.extent(2); ++j, ++i) {
        const double off = std::abs(out(token, head, j) - right[i]) / largest;
        deviation_ = std::isfinite(off) ? std::max(deviation_, off) : std::numeric_limits<double>::infinity();
      }
}

std::optional<std::string> check_arm(model::Decoder& decoder, bool allow_nonfinite) {
  const model::ModelConfig& config = decoder.config();
  const int prompt = std::max(1, room_for(decoder, kPrompt + 1) - 1);
  const int rows = room_for(decoder, kRows);
  std::vector<model::TokenId> tokens(static_cast<std::size_t>(prompt) + 2);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<model::TokenId>((i * 7919 + 11) % static_cast<std::size_t>(config.vocab_size));
  const double scores = (prompt * (prompt + 1.0) / 2 + prompt + 1 + rows) * config.heads * config.layers;
  ReferenceComparison comparison(static_cast<int>(std::ceil(scores / kMostScores)));
  Feeder feeder(decoder);
  {
    const AttendWatch watch(comparison);
    model::Session prompted = decoder.make_session(1, prompt + 1);
    feeder.feed(prompted, std::span(tokens).first(prompt), Phase::last_prefill);
    if (room_for(decoder, prompt + 1) > prompt)
      feeder.feed(prompted, std::span(tokens).subspan(prompt, 1), Phase::decode);
    model::Session filled = decoder.make_session(1, rows);
    fill_caches(filled, std::vector<int>{rows - 1}, 1);
    feeder.feed(filled, std::span(tokens).subspan(prompt + 1, 1), Phase::decode);
  }
  if (!allow_nonfinite && !feeder.all_finite()) return "the logits hold NaN or Inf";
  if (comparison.deviation() > kArmTolerance && !(allow_nonfinite && !feeder.all_finite()))
    return fmt::format("attention is off the reference by {:.2g} of its largest output; at most {:.2g} is rounding",
                       comparison.deviation(), kArmTolerance);
  return std::nullopt;
}

}  // namespace attnlab::experiment
