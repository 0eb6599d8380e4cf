// turned: rotary positions in their plainest form. Su et al. 2021. Channels of a head are taken in pairs, and a row at
// position p turns pair j by the angle p theta^(-2j / d), d being the channels that turn: query . key then depends on
// the distance of their positions alone. Put your own idea into `angle`, and its paper here.
#include <cmath>
#include <string>

#include <attnlab/error.h>
#include <attnlab/plugin.h>

namespace {
using namespace attnlab;

struct Options {
  double theta = 10000;
  double share = 1;
  bool interleaved = false;

  static constexpr auto fields() {
    return std::tuple{
        field("theta", &Options::theta, {.min = 1, .doc = "Base of the frequencies.", .from_model = "rope_theta"}),
        field("share", &Options::share,
              {.min = 0, .max = 1, .doc = "Share of each head, from its front, that turns; the rest stays."}),
        field("interleaved", &Options::interleaved, {.doc = "Pairs (2j, 2j + 1) instead of (j, j + d/2)."})};
  }
};

// Called for queries and for keys with the same options, by any thread: const, noexcept, nothing that changes.
class Turn final : public Rotation {
 public:
  Turn(const Options& options, int head_dim)
      : options_(options), half_(static_cast<int>(head_dim * options.share) / 2) {
    if (2 * half_ != static_cast<int>(head_dim * options.share))
      throw Error("", "turned rotates pairs, and the share of " + std::to_string(head_dim) + " channels is odd",
                  "head_dim * share must be even");
  }

  void rotate(const RotateArgs& args, TensorView<float, 3> rows) const noexcept override {
    for (std::int64_t i = 0; i < rows.extent(0); ++i)
      for (int j = 0; j < half_; ++j) {
        const double turn = angle(args.positions[i], j);
        const auto cosine = static_cast<float>(std::cos(turn)), sine = static_cast<float>(std::sin(turn));
        for (std::int64_t head = 0; head < rows.extent(1); ++head) {
          float& first = rows(i, head, options_.interleaved ? 2 * j : j);
          float& second = rows(i, head, options_.interleaved ? 2 * j + 1 : j + half_);
          const float before = first;
          first = before * cosine - second * sine;
          second = second * cosine + before * sine;
        }
      }
  }

 private:
  // In double: a position of 100'000 times a frequency near 1 has no digits left for the angle in float.
  double angle(Position position, int pair) const noexcept {
    return position * std::pow(options_.theta, -static_cast<double>(pair) / half_);
  }

  Options options_;
  int half_;  // pairs; channels from 2 * half_ on stay as they are
};

class Scheme final : public PositionScheme {
 public:
  Scheme(const Options& options, const CreateContext& context) : turn_(options, context.head_dim) {}
  static Traits traits(const Options&) { return {}; }  // the angle of a position is the same in every length
  const Rotation* rotation() const override { return &turn_; }

 private:
  Turn turn_;
};

constexpr Component<PositionScheme> kPosition[] = {component<PositionScheme, Scheme, Options>(
    {.id = "turned", .summary = "Rotary positions in their plainest form.", .reference = "arXiv:2104.09864"})};
}  // namespace

ATTNLAB_PLUGIN(.name = "turned", .version = "0.1", .position = kPosition);
