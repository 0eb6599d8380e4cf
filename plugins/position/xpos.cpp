// xPos: rotary positions whose pairs also shrink with distance, each at its own rate: queries at position p are
// multiplied by zeta^(p / scale_base), keys divided by it. Sun et al. 2022. Pairs are those of rope. The authors count
// p from the middle of the sequence, which gives the same scores; from 0, stored keys stay right when the sequence
// grows.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <attnlab/error.h>
#include <attnlab/pair_angles.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Position;

struct XposOptions {
  double theta = 10000;
  bool traditional = false;
  double gamma = 0.4;
  double scale_base = 512;

  static constexpr auto fields() {
    using X = XposOptions;
    using attnlab::field;
    return std::tuple{
        field("theta", &X::theta, {.min = 1e-6, .doc = "Base of the frequencies.", .from_model = "rope_theta"}),
        field("traditional", &X::traditional,
              {.doc = "Rotate the pairs (2j, 2j + 1) instead of (j, j + d/2).", .from_model = "rope_traditional"}),
        field(
            "gamma", &X::gamma,
            {.min = 1e-3, .doc = "Pair j of d/2 shrinks by zeta = (2j/d + gamma) / (1 + gamma) in scale_base tokens."}),
        field("scale_base", &X::scale_base,
              {.min = 1e-3,
               .unit = "tokens",
               .doc = "Distance at which a score has shrunk by zeta. Keys grow without bound instead, so positions end "
                      "where zeta^(-position / scale_base) leaves the range of f32."})};
  }
};

class ShrinkingRotary final : public attnlab::Rotation {
 public:
  ShrinkingRotary(const XposOptions& options, const attnlab::CreateContext& context)
      : traditional_(options.traditional), width_(context.head_dim) {
    if (width_ % 2 != 0)
      throw attnlab::Error("", "xpos rotates pairs, but a head has " + std::to_string(width_) + " channels",
                           "head_dim must be even");
    for (int j = 0; j < width_ / 2; ++j) {
      frequencies_.push_back(std::pow(options.theta, -2.0 * j / width_));
      const double zeta = (2.0 * j / width_ + options.gamma) / (1 + options.gamma);
      log_shrink_.push_back(std::log(zeta) / options.scale_base);
    }
    const double last = std::log(kLargestKeyFactor) / -log_shrink_.front();
    max_positions_ = static_cast<Position>(std::min(last + 1, double{std::numeric_limits<Position>::max()}));
    // Tables for the positions that are common; what lies beyond is computed when it comes.
    table_rows_ = std::min({context.max_positions, kTableRows, max_positions_});
    table_.resize(static_cast<std::size_t>(table_rows_) * 2 * width_);
    for (int position = 0; position < table_rows_; ++position)
      for (const auto side : {attnlab::RotateSide::query, attnlab::RotateSide::key}) {
        float* cosine = table_.data() + offset(position, side);
        angles(position, side, 0, width_ / 2, cosine, cosine + width_ / 2);
      }
  }

  void rotate(const attnlab::RotateArgs& args, attnlab::TensorView<float, 3> rows) const noexcept override {
    turn_rows(args, rows, 1);
  }
  // The transpose has the same factors and the negated angles.
  void rotate_back(const attnlab::RotateArgs& args, attnlab::TensorView<float, 3> gradients) const override {
    turn_rows(args, gradients, -1);
  }
  attnlab::TurnedPairs pairs() const noexcept override {
    using Order = attnlab::TurnedPairs::Order;
    return {width_, traditional_ ? Order::neighbours : Order::halves};
  }
  Position max_positions() const { return max_positions_; }

 private:
  static constexpr int kTableRows = 8192;
  static constexpr int kBlockPairs = attnlab::PairAngles::kMostPairs;  // all pairs of a head of 128 channels
  static constexpr double kLargestKeyFactor = 1e30;  // the rest of the range of f32 is left to the keys

  void turn_rows(const attnlab::RotateArgs& args, attnlab::TensorView<float, 3> rows, float sign) const noexcept {
    // Block by block of pairs, so that what no table holds fits on the stack.
    std::array<float, 2 * kBlockPairs> computed;
    float* const computed_sine = computed.data() + kBlockPairs;
    std::array<double, kBlockPairs> growth;
    const double direction = args.side == attnlab::RotateSide::query ? 1 : -1;
    for (int first = 0; first < width_ / 2; first += kBlockPairs) {
      const int pairs = std::min(kBlockPairs, width_ / 2 - first);
      for (int j = 0; j < pairs; ++j) growth[j] = direction * log_shrink_[first + j];
      const std::span<const double> frequencies(frequencies_.data() + first, static_cast<std::size_t>(pairs));
      const std::span<const double> of_length(growth.data(), static_cast<std::size_t>(pairs));
      attnlab::PairAngles behind_table(frequencies, 1, of_length);
      for (std::size_t i = 0; i < args.positions.size(); ++i) {
        const Position position = args.positions[i];
        const float* cosine = computed.data();
        const float* sine = computed_sine;
        if (position < table_rows_) {
          cosine = table_.data() + offset(position, args.side) + first;
          sine = cosine + width_ / 2;
        } else {
          behind_table.at(position, computed.data(), computed_sine);
        }
        for (std::int64_t head = 0; head < rows.extent(1); ++head)
          turn(&rows(i, head, 0), first, pairs, cosine, sine, sign);
      }
    }
  }

  std::size_t offset(Position position, attnlab::RotateSide side) const noexcept {
    return (static_cast<std::size_t>(position) * 2 + (side == attnlab::RotateSide::key ? 1 : 0)) * width_;
  }

  // Cosines and sines of pairs first .. first + pairs, both with the pair's factor.
  void angles(Position position, attnlab::RotateSide side, int first, int pairs, float* cosine,
              float* sine) const noexcept {
    const double direction = side == attnlab::RotateSide::query ? 1 : -1;
    for (int j = 0; j < pairs; ++j) {
      const double angle = position * frequencies_[first + j];
      const double factor = std::exp(direction * position * log_shrink_[first + j]);
      cosine[j] = static_cast<float>(factor * std::cos(angle));
      sine[j] = static_cast<float>(factor * std::sin(angle));
    }
  }

  // Pairs (x[Step j], y[Step j]).
  template <int Step>
  static void turn_pairs(float* x, float* y, const float* cosine, const float* sine, int pairs, float sign) noexcept {
    for (int j = 0; j < pairs; ++j) {
      const float a = x[Step * j];
      const float b = y[Step * j];
      x[Step * j] = a * cosine[j] - sign * b * sine[j];
      y[Step * j] = b * cosine[j] + sign * a * sine[j];
    }
  }
  void turn(float* x, int first, int pairs, const float* cosine, const float* sine, float sign) const noexcept {
    if (traditional_)
      turn_pairs<2>(x + 2 * first, x + 2 * first + 1, cosine, sine, pairs, sign);
    else
      turn_pairs<1>(x + first, x + first + width_ / 2, cosine, sine, pairs, sign);
  }

  bool traditional_;
  int width_;
  std::vector<double> frequencies_;  // [width / 2]
  std::vector<double> log_shrink_;   // [width / 2], ln(zeta) / scale_base
  Position max_positions_ = 0;
  int table_rows_ = 0;
  std::vector<float> table_;  // [positions, 2 sides, width]
};

class Xpos final : public attnlab::PositionScheme {
 public:
  Xpos(const XposOptions& options, const attnlab::CreateContext& context) : rotary_(options, context) {}
  static attnlab::Traits traits(const XposOptions&) { return {}; }
  const attnlab::Rotation* rotation() const override { return &rotary_; }
  Position max_positions() const override { return rotary_.max_positions(); }

 private:
  ShrinkingRotary rotary_;
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, Xpos, XposOptions>(
        {.id = "xpos",
         .summary = "Rotary positions whose scores also shrink with distance, pair by pair.",
         .reference = "arXiv:2212.10554"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "xpos", .version = "1.0", .position = kPosition);
