// Rotary positions: pairs of channels of queries and keys are rotated by angles that grow with the position. Su et al.
// 2021. Pairs are (j, j + d/2), or (2j, 2j + 1) where `traditional` is set. The scalings are those of common
// checkpoints; `dynamic` depends on the length of the sequence, the others do not.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include <attnlab/error.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Position;

enum class Scaling : std::uint8_t { none, linear, dynamic, llama3, yarn };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Scaling>, 5> attnlab::kChoices<Scaling>{{{"none", Scaling::none},
                                                                                     {"linear", Scaling::linear},
                                                                                     {"dynamic", Scaling::dynamic},
                                                                                     {"llama3", Scaling::llama3},
                                                                                     {"yarn", Scaling::yarn}}};

namespace {

struct RopeOptions {
  double theta = 10000;
  bool traditional = false;
  double partial_rotary_factor = 1;
  Scaling scaling = Scaling::none;
  double factor = 1;
  std::int32_t original_max_position_embeddings = 0;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double beta_fast = 32;
  double beta_slow = 1;
  double attention_factor = 0;

  static constexpr auto fields() {
    using R = RopeOptions;
    using attnlab::field;
    return std::tuple{
        field("theta", &R::theta, {.min = 1e-6, .doc = "Base of the frequencies.", .from_model = "rope_theta"}),
        field("traditional", &R::traditional,
              {.doc = "Rotate the pairs (2j, 2j + 1) instead of (j, j + d/2).", .from_model = "rope_traditional"}),
        field("partial_rotary_factor", &R::partial_rotary_factor,
              {.min = 0, .max = 1, .doc = "Share of each head, from its front, that is rotated.",
               .from_model = "partial_rotary_factor"}),
        field("scaling", &R::scaling,
              {.doc = "How frequencies are stretched for longer contexts.", .from_model = "rope_scaling.rope_type",
               .group = "scaling"}),
        field("factor", &R::factor,
              {.min = 1, .doc = "Stretch of linear, dynamic, llama3 and yarn.", .from_model = "rope_scaling.factor",
               .group = "scaling"}),
        field("original_max_position_embeddings", &R::original_max_position_embeddings,
              {.min = 0, .unit = "tokens", .doc = "Length before the stretch; 0: the model's max_position_embeddings.",
               .from_model = "rope_scaling.original_max_position_embeddings"}),
        field("low_freq_factor", &R::low_freq_factor,
              {.min = 0, .doc = "llama3: wavelengths above original / this are divided by the factor.",
               .from_model = "rope_scaling.low_freq_factor", .group = "scaling"}),
        field("high_freq_factor", &R::high_freq_factor,
              {.min = 0, .doc = "llama3: wavelengths below original / this are kept.",
               .from_model = "rope_scaling.high_freq_factor", .group = "scaling"}),
        field("beta_fast", &R::beta_fast,
              {.min = 0, .doc = "yarn: channels that turn more often than this in the original length are kept.",
               .from_model = "rope_scaling.beta_fast", .group = "scaling"}),
        field("beta_slow", &R::beta_slow,
              {.min = 0, .doc = "yarn: channels that turn less often than this are divided by the factor.",
               .from_model = "rope_scaling.beta_slow", .group = "scaling"}),
        field("attention_factor", &R::attention_factor,
              {.min = 0, .doc = "yarn: multiplies cos and sin; 0: 0.1 ln(factor) + 1.",
               .from_model = "rope_scaling.attention_factor", .group = "scaling"})};
  }
  static void check(const RopeOptions& o, attnlab::Problems& problems) {
    if (o.scaling == Scaling::llama3 && o.low_freq_factor >= o.high_freq_factor)
      problems.add("low_freq_factor", "must be smaller than high_freq_factor");
  }
};

class Rotary final : public attnlab::Rotation {
 public:
  Rotary(const RopeOptions& options, const attnlab::CreateContext& context)
      : options_(options),
        width_(static_cast<int>(context.head_dim * options.partial_rotary_factor)),
        original_length_(options.original_max_position_embeddings > 0 ? options.original_max_position_embeddings
                                                                      : context.max_positions) {
    if (width_ % 2 != 0)
      throw attnlab::Error("", "rope rotates pairs, but " + std::to_string(width_) + " channels of a head are rotated",
                           "head_dim * partial_rotary_factor must be even");
    if (options.scaling == Scaling::yarn)
      magnitude_ = options.attention_factor > 0 ? options.attention_factor : 0.1 * std::log(options.factor) + 1;
    frequencies_ = scaled_frequencies();
    // Tables for the positions that are common; what lies beyond is computed when it comes.
    const int rows = std::min(context.max_positions, kTableRows);
    table_.resize(static_cast<std::size_t>(rows) * width_);
    for (int position = 0; position < rows; ++position) angles(position, frequencies_, table_row(position));
  }

  void rotate(const attnlab::RotateArgs& args, attnlab::TensorView<float, 3> rows) const noexcept override {
    const bool stretched = options_.scaling == Scaling::dynamic && args.length > original_length_;
    std::vector<double> stretched_frequencies;
    if (stretched) stretched_frequencies = frequencies(dynamic_theta(args.length));
    std::vector<float> computed(width_);
    for (std::size_t i = 0; i < args.positions.size(); ++i) {
      const Position position = args.positions[i];
      const float* cos_sin = computed.data();
      if (!stretched && static_cast<std::size_t>(position) * width_ < table_.size())
        cos_sin = table_.data() + static_cast<std::size_t>(position) * width_;
      else
        angles(position, stretched ? stretched_frequencies : frequencies_, computed.data());
      for (std::int64_t head = 0; head < rows.extent(1); ++head) turn(&rows(i, head, 0), cos_sin);
    }
  }

 private:
  static constexpr int kTableRows = 8192;

  float* table_row(int position) { return table_.data() + static_cast<std::size_t>(position) * width_; }

  // cos_sin [width]: the cosines of all pairs, then the sines.
  void turn(float* x, const float* cos_sin) const noexcept {
    const int half = width_ / 2;
    const float* cosine = cos_sin;
    const float* sine = cos_sin + half;
    if (options_.traditional) {
      for (int j = 0; j < half; ++j) {
        const float a = x[2 * j];
        const float b = x[2 * j + 1];
        x[2 * j] = a * cosine[j] - b * sine[j];
        x[2 * j + 1] = b * cosine[j] + a * sine[j];
      }
      return;
    }
    float* y = x + half;
    for (int j = 0; j < half; ++j) {
      const float a = x[j];
      const float b = y[j];
      x[j] = a * cosine[j] - b * sine[j];
      y[j] = b * cosine[j] + a * sine[j];
    }
  }

  void angles(Position position, const std::vector<double>& frequencies, float* cos_sin) const noexcept {
    for (std::size_t j = 0; j < frequencies.size(); ++j) {
      const double angle = position * frequencies[j];
      cos_sin[j] = static_cast<float>(magnitude_ * std::cos(angle));
      cos_sin[j + frequencies.size()] = static_cast<float>(magnitude_ * std::sin(angle));
    }
  }

  std::vector<double> frequencies(double theta) const {
    std::vector<double> all(width_ / 2);
    for (std::size_t j = 0; j < all.size(); ++j) all[j] = std::pow(theta, -2.0 * static_cast<double>(j) / width_);
    return all;
  }

  // One theta for every position of the call (Code Llama's "NTK-aware" base, grown with the length).
  double dynamic_theta(Position length) const noexcept {
    const double stretch = options_.factor * length / original_length_ - (options_.factor - 1);
    return options_.theta * std::pow(stretch, width_ / (width_ - 2.0));
  }

  std::vector<double> scaled_frequencies() const {
    std::vector<double> all = frequencies(options_.theta);
    switch (options_.scaling) {
      case Scaling::none:
      case Scaling::dynamic: break;
      case Scaling::linear:  // Chen et al. 2023
        for (double& frequency : all) frequency /= options_.factor;
        break;
      case Scaling::llama3:
        for (double& frequency : all) frequency = llama3(frequency);
        break;
      case Scaling::yarn: yarn(all); break;
    }
    return all;
  }

  double llama3(double frequency) const {
    const double wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength < original_length_ / options_.high_freq_factor) return frequency;
    if (wavelength > original_length_ / options_.low_freq_factor) return frequency / options_.factor;
    const double smooth = (original_length_ / wavelength - options_.low_freq_factor) /
                          (options_.high_freq_factor - options_.low_freq_factor);
    return (1 - smooth) * frequency / options_.factor + smooth * frequency;
  }

  // Peng et al. 2023: channels that turn often are kept, those that turn seldom are interpolated, a ramp between.
  void yarn(std::vector<double>& all) const {
    const auto channel_of = [&](double turns) {
      return width_ * std::log(original_length_ / (turns * 2 * std::numbers::pi)) / (2 * std::log(options_.theta));
    };
    const double low = std::max(std::floor(channel_of(options_.beta_fast)), 0.0);
    double high = std::min(std::ceil(channel_of(options_.beta_slow)), width_ - 1.0);
    if (low == high) high += 0.001;  // no division by zero, as in the authors' code
    for (std::size_t j = 0; j < all.size(); ++j) {
      const double ramp = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
      all[j] = all[j] / options_.factor * ramp + all[j] * (1 - ramp);
    }
  }

  RopeOptions options_;
  int width_;  // rotated channels of a head
  Position original_length_;
  double magnitude_ = 1;             // yarn's temperature, folded into cos and sin
  std::vector<double> frequencies_;  // [width / 2]
  std::vector<float> table_;         // [positions, width]: cosines, then sines
};

class Rope final : public attnlab::PositionScheme {
 public:
  Rope(const RopeOptions& options, const attnlab::CreateContext& context) : rotary_(options, context) {}
  static attnlab::Traits traits(const RopeOptions& options) {
    attnlab::Traits traits;
    if (options.scaling == Scaling::dynamic) traits.provides.add(attnlab::Feature::length_dependent_rotation);
    return traits;
  }
  const attnlab::Rotation* rotation() const override { return &rotary_; }

 private:
  Rotary rotary_;
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, Rope, RopeOptions>(
        {.id = "rope", .summary = "Queries and keys are rotated by angles that grow with the position.",
         .reference = "arXiv:2104.09864"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "rope", .version = "1.0", .position = kPosition);
