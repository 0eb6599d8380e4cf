// Rotary positions: pairs of channels of queries and keys are rotated by angles that grow with the position. Su et al.
// 2021. Pairs are (j, j + d/2), or (2j, 2j + 1) where `traditional` is set. The scalings are those of common
// checkpoints; `dynamic` and `longrope` depend on the length of the sequence, the others do not.
// Not here: pairs that shrink with distance (see xpos).
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include <attnlab/error.h>
#include <attnlab/pair_angles.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Position;

enum class Scaling : std::uint8_t { none, linear, dynamic, ntk, llama3, yarn, longrope };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Scaling>, 7> attnlab::kChoices<Scaling>{{{"none", Scaling::none},
                                                                                     {"linear", Scaling::linear},
                                                                                     {"dynamic", Scaling::dynamic},
                                                                                     {"ntk", Scaling::ntk},
                                                                                     {"llama3", Scaling::llama3},
                                                                                     {"yarn", Scaling::yarn},
                                                                                     {"longrope", Scaling::longrope}}};

namespace {

struct RopeOptions {
  double theta = 10000;
  bool traditional = false;
  double partial_rotary_factor = 1;
  Scaling scaling = Scaling::none;
  double factor = 0;
  std::int32_t original_max_position_embeddings = 0;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double beta_fast = 32;
  double beta_slow = 1;
  double attention_factor = 0;
  double mscale = 0;
  double mscale_all_dim = 0;
  bool truncate = true;
  std::vector<double> short_factor;
  std::vector<double> long_factor;

  static constexpr auto fields() {
    using R = RopeOptions;
    using attnlab::field;
    return std::tuple{
        field("theta", &R::theta, {.min = 1e-6, .doc = "Base of the frequencies.", .from_model = "rope_theta"}),
        field("traditional", &R::traditional,
              {.doc = "Rotate the pairs (2j, 2j + 1) instead of (j, j + d/2).", .from_model = "rope_traditional"}),
        field("partial_rotary_factor", &R::partial_rotary_factor,
              {.min = 0,
               .max = 1,
               .doc = "Share of each head, from its front, that is rotated.",
               .from_model = "partial_rotary_factor"}),
        field("scaling", &R::scaling,
              {.doc = "How frequencies are stretched for longer contexts.",
               .from_model = "rope_scaling.rope_type",
               .group = "scaling"}),
        field("factor", &R::factor,
              {.min = 0,
               .doc = "Stretch of linear, dynamic, ntk, llama3 and yarn, at least 1; of longrope only for its default "
                      "attention_factor. 0: 1, in longrope max_position_embeddings / original_max_position_embeddings.",
               .from_model = "rope_scaling.factor",
               .group = "scaling"}),
        field("original_max_position_embeddings", &R::original_max_position_embeddings,
              {.min = 0,
               .unit = "tokens",
               .doc = "Length before the stretch; 0: the model's max_position_embeddings.",
               .from_model = "rope_scaling.original_max_position_embeddings"}),
        field("low_freq_factor", &R::low_freq_factor,
              {.min = 0,
               .doc = "llama3: wavelengths above original / this are divided by the factor.",
               .from_model = "rope_scaling.low_freq_factor",
               .group = "scaling"}),
        field("high_freq_factor", &R::high_freq_factor,
              {.min = 0,
               .doc = "llama3: wavelengths below original / this are kept.",
               .from_model = "rope_scaling.high_freq_factor",
               .group = "scaling"}),
        field("beta_fast", &R::beta_fast,
              {.min = 0,
               .doc = "yarn: channels that turn more often than this in the original length are kept.",
               .from_model = "rope_scaling.beta_fast",
               .group = "scaling"}),
        field("beta_slow", &R::beta_slow,
              {.min = 0,
               .doc = "yarn: channels that turn less often than this are divided by the factor.",
               .from_model = "rope_scaling.beta_slow",
               .group = "scaling"}),
        field("attention_factor", &R::attention_factor,
              {.min = 0,
               .doc = "yarn, longrope: multiplies cos and sin, in longrope at every length. 0: 0.1 ln(factor) + 1, or "
                      "as mscale says; in longrope sqrt(1 + ln(factor) / ln(original_max_position_embeddings)).",
               .from_model = "rope_scaling.attention_factor",
               .group = "scaling"}),
        field("mscale", &R::mscale,
              {.min = 0,
               .doc = "yarn: with mscale_all_dim the attention factor is (0.1 mscale ln(factor) + 1) / (0.1 "
                      "mscale_all_dim ln(factor) + 1). 0: not given; then both are ignored.",
               .from_model = "rope_scaling.mscale",
               .group = "scaling"}),
        field("mscale_all_dim", &R::mscale_all_dim,
              {.min = 0, .doc = "yarn: see mscale.", .from_model = "rope_scaling.mscale_all_dim", .group = "scaling"}),
        field("truncate", &R::truncate,
              {.doc = "yarn: the bounds of the ramp are whole dimensions.",
               .from_model = "rope_scaling.truncate",
               .group = "scaling"}),
        field("short_factor", &R::short_factor,
              {.min = 0,
               .doc = "longrope: divisors of the pairs' frequencies, up to and including the original length.",
               .from_model = "rope_scaling.short_factor",
               .group = "scaling"}),
        field("long_factor", &R::long_factor,
              {.min = 0,
               .doc = "longrope: divisors of the pairs' frequencies at all positions of longer sequences.",
               .from_model = "rope_scaling.long_factor",
               .group = "scaling"})};
  }
  static void check(const RopeOptions& o, attnlab::Problems& problems) {
    if (o.scaling == Scaling::llama3 && o.low_freq_factor >= o.high_freq_factor)
      problems.add("low_freq_factor", "must be smaller than high_freq_factor");
    if (o.factor > 0 && o.factor < 1) problems.add("factor", "must be at least 1");
    check_pairs("short_factor", o.short_factor, o.scaling, problems);
    check_pairs("long_factor", o.long_factor, o.scaling, problems);
  }

 private:
  static void check_pairs(const char* name, const std::vector<double>& factors, Scaling scaling,
                          attnlab::Problems& problems) {
    if (scaling == Scaling::longrope && factors.empty()) problems.add(name, "is missing, which longrope needs");
    if (std::any_of(factors.begin(), factors.end(), [](double factor) { return !(factor > 0); }))
      problems.add(name, "must be numbers greater than 0");
  }
};

class Rotary final : public attnlab::Rotation {
 public:
  Rotary(const RopeOptions& options, const attnlab::CreateContext& context)
      : options_(options),
        width_(static_cast<int>(context.head_dim * options.partial_rotary_factor)),
        original_length_(options.original_max_position_embeddings > 0 ? options.original_max_position_embeddings
                                                                      : context.max_positions),
        stretch_(options.factor > 0 ? options.factor : 1) {
    check_width();
    magnitude_ = magnitude(context.max_positions);
    // Tables for the positions that are common; what lies beyond is computed when it comes.
    const int rows = std::min(context.max_positions, kTableRows);
    usual_ = make_angles(scaled_frequencies(), rows);
    if (options.scaling == Scaling::longrope) beyond_ = make_angles(divided_by(options.long_factor), rows);
  }

  void rotate(const attnlab::RotateArgs& args, attnlab::TensorView<float, 3> rows) const noexcept override {
    turn_rows<Turn::forward>(args, rows);
  }
  // The transpose of a turn is the turn by the negated angle, with the same magnitude.
  void rotate_back(const attnlab::RotateArgs& args, attnlab::TensorView<float, 3> gradients) const override {
    turn_rows<Turn::back>(args, gradients);
  }

  attnlab::TurnedPairs pairs() const noexcept override {
    using Order = attnlab::TurnedPairs::Order;
    return {width_, options_.traditional ? Order::neighbours : Order::halves};
  }

  static bool by_length(Scaling scaling) { return scaling == Scaling::dynamic || scaling == Scaling::longrope; }

 private:
  static constexpr int kTableRows = 8192;
  static constexpr int kBlockPairs = attnlab::PairAngles::kMostPairs;  // all pairs of a head of 128 channels
  enum class Turn : bool { forward, back };

  template <Turn Direction>
  void turn_rows(const attnlab::RotateArgs& args, attnlab::TensorView<float, 3> rows) const noexcept {
    const bool is_beyond = by_length(options_.scaling) && args.length > original_length_;
    const bool is_dynamic = is_beyond && options_.scaling == Scaling::dynamic;  // angles of this call only
    const Angles& angles = is_beyond && !is_dynamic ? beyond_ : usual_;
    const double theta = is_dynamic ? dynamic_theta(args.length) : options_.theta;
    // Block by block of pairs, so that what no table holds fits on the stack.
    std::array<double, kBlockPairs> of_call;
    std::array<float, 2 * kBlockPairs> computed;
    float* const computed_sine = computed.data() + kBlockPairs;
    for (int first = 0; first < width_ / 2; first += kBlockPairs) {
      const int pairs = std::min(kBlockPairs, width_ / 2 - first);
      std::span<const double> frequencies = std::span(angles.frequencies).subspan(first, pairs);
      if (is_dynamic) {
        for (int j = 0; j < pairs; ++j) of_call[j] = frequency(theta, first + j);
        frequencies = std::span(of_call).first(pairs);
      }
      attnlab::PairAngles behind_table(frequencies, magnitude_);
      for (std::size_t i = 0; i < args.positions.size(); ++i) {
        const Position position = args.positions[i];
        const float* cosine = computed.data();
        const float* sine = computed_sine;
        if (!is_dynamic && position < angles.rows) {
          cosine = angles.table.data() + static_cast<std::size_t>(position) * width_ + first;
          sine = cosine + width_ / 2;
        } else {
          behind_table.at(position, computed.data(), computed_sine);
        }
        for (std::int64_t head = 0; head < rows.extent(1); ++head)
          turn<Direction>(&rows(i, head, 0), first, pairs, cosine, sine);
      }
    }
  }

  struct Angles {
    std::vector<double> frequencies;  // [width / 2]
    int rows = 0;                     // positions of the table
    std::vector<float> table;         // [rows, width]: cosines, then sines
  };

  Angles make_angles(std::vector<double> frequencies, int rows) const {
    Angles angles{std::move(frequencies), rows, std::vector<float>(static_cast<std::size_t>(rows) * width_)};
    for (int position = 0; position < rows; ++position) {
      float* cosine = angles.table.data() + static_cast<std::size_t>(position) * width_;
      compute(position, angles.frequencies, cosine, cosine + width_ / 2);
    }
    return angles;
  }

  void check_width() const {
    if (width_ % 2 != 0)
      throw attnlab::Error("", "rope rotates pairs, but " + std::to_string(width_) + " channels of a head are rotated",
                           "head_dim * partial_rotary_factor must be even");
    if (width_ == 2 && (options_.scaling == Scaling::dynamic || options_.scaling == Scaling::ntk))
      throw attnlab::Error("", "this scaling of rope cannot stretch the one pair of channels that is rotated",
                           "its exponent is d / (d - 2), so more than 2 channels must be rotated");
    if (options_.scaling != Scaling::longrope) return;
    for (const auto* factors : {&options_.short_factor, &options_.long_factor})
      if (static_cast<int>(factors->size()) != width_ / 2)
        throw attnlab::Error("",
                             "longrope has " + std::to_string(factors->size()) + " numbers for " +
                                 std::to_string(width_ / 2) + " pairs of channels",
                             "short_factor and long_factor need one number for each pair that is rotated");
  }

  // yarn's temperature and longrope's, folded into cos and sin.
  double magnitude(int max_positions) const {
    const bool scales = options_.scaling == Scaling::yarn || options_.scaling == Scaling::longrope;
    if (!scales) return 1;
    if (options_.attention_factor > 0) return options_.attention_factor;
    if (options_.scaling == Scaling::yarn) {
      const auto of = [&](double scale) { return stretch_ <= 1 ? 1 : 0.1 * scale * std::log(stretch_) + 1; };
      const bool is_given = options_.mscale > 0 && options_.mscale_all_dim > 0;
      return is_given ? of(options_.mscale) / of(options_.mscale_all_dim) : of(1);
    }
    const double stretch =
        options_.factor > 0 ? options_.factor : static_cast<double>(max_positions) / original_length_;
    return stretch > 1 ? std::sqrt(1 + std::log(stretch) / std::log(original_length_)) : 1;
  }

  // Pairs first .. first + pairs of a head.
  template <Turn Direction>
  void turn(float* x, int first, int pairs, const float* cosine, const float* sine) const noexcept {
    constexpr float sign = Direction == Turn::forward ? 1 : -1;
    if (options_.traditional) {
      x += 2 * first;
      for (int j = 0; j < pairs; ++j) {
        const float a = x[2 * j];
        const float b = x[2 * j + 1];
        x[2 * j] = a * cosine[j] - sign * b * sine[j];
        x[2 * j + 1] = b * cosine[j] + sign * a * sine[j];
      }
      return;
    }
    x += first;
    float* y = x + width_ / 2;
    for (int j = 0; j < pairs; ++j) {
      const float a = x[j];
      const float b = y[j];
      x[j] = a * cosine[j] - sign * b * sine[j];
      y[j] = b * cosine[j] + sign * a * sine[j];
    }
  }

  void compute(Position position, std::span<const double> frequencies, float* cosine, float* sine) const noexcept {
    for (std::size_t j = 0; j < frequencies.size(); ++j) {
      const double angle = position * frequencies[j];
      cosine[j] = static_cast<float>(magnitude_ * std::cos(angle));
      sine[j] = static_cast<float>(magnitude_ * std::sin(angle));
    }
  }

  double frequency(double theta, int pair) const noexcept { return std::pow(theta, -2.0 * pair / width_); }
  std::vector<double> frequencies(double theta) const {
    std::vector<double> all(width_ / 2);
    for (int pair = 0; pair < width_ / 2; ++pair) all[pair] = frequency(theta, pair);
    return all;
  }

  // One theta for every position of the call (Code Llama's "NTK-aware" base, grown with the length).
  double dynamic_theta(Position length) const noexcept {
    return stretched_theta(stretch_ * length / original_length_ - (stretch_ - 1));
  }
  double stretched_theta(double stretch) const noexcept {
    return options_.theta * std::pow(stretch, width_ / (width_ - 2.0));
  }

  // Ding et al. 2024: every pair has a factor of its own.
  std::vector<double> divided_by(const std::vector<double>& factors) const {
    std::vector<double> all = frequencies(options_.theta);
    for (std::size_t j = 0; j < all.size(); ++j) all[j] /= factors[j];
    return all;
  }

  std::vector<double> scaled_frequencies() const {
    std::vector<double> all = frequencies(options_.theta);
    switch (options_.scaling) {
      case Scaling::none:
      case Scaling::dynamic:
        break;
      case Scaling::linear:  // Chen et al. 2023
        for (double& frequency : all) frequency /= stretch_;
        break;
      case Scaling::ntk:
        return frequencies(stretched_theta(stretch_));
      case Scaling::longrope:
        return divided_by(options_.short_factor);
      case Scaling::llama3:
        for (double& frequency : all) frequency = llama3(frequency);
        break;
      case Scaling::yarn:
        yarn(all);
        break;
    }
    return all;
  }

  double llama3(double frequency) const {
    const double wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength < original_length_ / options_.high_freq_factor) return frequency;
    if (wavelength > original_length_ / options_.low_freq_factor) return frequency / stretch_;
    const double smooth = (original_length_ / wavelength - options_.low_freq_factor) /
                          (options_.high_freq_factor - options_.low_freq_factor);
    return (1 - smooth) * frequency / stretch_ + smooth * frequency;
  }

  // Peng et al. 2023: channels that turn often are kept, those that turn seldom are interpolated, a ramp between.
  void yarn(std::vector<double>& all) const {
    const auto channel_of = [&](double turns) {
      return width_ * std::log(original_length_ / (turns * 2 * std::numbers::pi)) / (2 * std::log(options_.theta));
    };
    const double first = channel_of(options_.beta_fast);
    const double last = channel_of(options_.beta_slow);
    const double low = std::max(options_.truncate ? std::floor(first) : first, 0.0);
    double high = std::min(options_.truncate ? std::ceil(last) : last, width_ - 1.0);
    if (low == high) high += 0.001;  // no division by zero, as in the authors' code
    for (std::size_t j = 0; j < all.size(); ++j) {
      const double ramp = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
      all[j] = all[j] / stretch_ * ramp + all[j] * (1 - ramp);
    }
  }

  RopeOptions options_;
  int width_;  // rotated channels of a head
  Position original_length_;
  double stretch_;
  double magnitude_ = 1;
  Angles usual_;
  Angles beyond_;  // longrope: of sequences that are longer than the original length
};

class Rope final : public attnlab::PositionScheme {
 public:
  Rope(const RopeOptions& options, const attnlab::CreateContext& context) : rotary_(options, context) {}
  static attnlab::Traits traits(const RopeOptions& options) {
    attnlab::Traits traits;
    // With the same factors for short and long sequences the length says nothing.
    const bool is_one_table = options.scaling == Scaling::longrope && options.short_factor == options.long_factor;
    if (Rotary::by_length(options.scaling) && !is_one_table)
      traits.provides.add(attnlab::Feature::length_dependent_rotation);
    return traits;
  }
  const attnlab::Rotation* rotation() const override { return &rotary_; }

 private:
  Rotary rotary_;
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, Rope, RopeOptions>(
        {.id = "rope",
         .summary = "Queries and keys are rotated by angles that grow with the position.",
         .reference = "arXiv:2104.09864"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "rope", .version = "1.0", .position = kPosition);
