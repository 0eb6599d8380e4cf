// Sound and loaded; its attention does not end the trial, but does what must not be measured, as its option names it.
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include <attnlab/plugin.h>

namespace {

enum class Way : std::uint8_t { hang, eat, nan, off };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Way>, 4> attnlab::kChoices<Way>{
    {{"hang", Way::hang}, {"eat", Way::eat}, {"nan", Way::nan}, {"off", Way::off}}};

namespace {

using attnlab::TensorView;

struct Options {
  Way way = Way::hang;
  static constexpr auto fields() {
    return std::tuple{attnlab::field("way", &Options::way, {.doc = "How the trial goes astray."})};
  }
};

// Prefers other rows whenever it is asked, so that no reference can say the same.
class Fickle final : public attnlab::ScoreHook {
 public:
  void apply(attnlab::ScoreTile& tile) const noexcept override {
    const int call = calls_++;
    for (std::int64_t head = 0; head < tile.scores.extent(0); ++head)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::int64_t row = 0; row < tile.scores.extent(2); ++row)
          tile.scores(head, query, row) += 5.0F * std::sin(static_cast<float>(call + 3 * row));
  }

 private:
  mutable std::atomic<int> calls_ = 0;
};

class Straying final : public attnlab::AttentionVariant {
 public:
  Straying(const Options& options, const attnlab::CreateContext& context)
      : way_(options.way), heads_(context.heads), kv_heads_(context.kv_heads), head_dim_(context.head_dim) {}
  static attnlab::Traits traits(const Options&) { return {.provides = {attnlab::Feature::kv_rows}}; }

  attnlab::KvShape kv_shape() const override { return {kv_heads_, head_dim_, head_dim_}; }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    if (way_ == Way::hang)
      for (;;) pause();
    if (way_ == Way::eat)
      for (;;) {
        constexpr std::size_t kBite = 8 << 20;
        std::memset(new char[kBite], 1, kBite);
      }
    const int tokens = layer.chunk.tokens();
    attnlab::Steps& steps = layer.steps;
    auto q = steps.rows(tokens, heads_, head_dim_);
    auto k = steps.rows(tokens, kv_heads_, head_dim_);
    auto v = steps.rows(tokens, kv_heads_, head_dim_);
    auto mixed = steps.rows(tokens, heads_, head_dim_);
    copy(hidden, q);
    copy(hidden, k);
    copy(hidden, v);
    steps.append(k, v);
    const attnlab::ScoreHook* hook = &fickle_;
    steps.attend({.queries = q, .scale = 1, .hooks = {&hook, way_ == Way::off ? std::size_t{1} : 0}, .mask = mask_},
                 mixed);
    for (std::int64_t token = 0; token < out.extent(0); ++token)
      for (std::int64_t i = 0; i < out.extent(1); ++i)
        out(token, i) = way_ == Way::nan ? std::numeric_limits<float>::quiet_NaN() : mixed(token, 0, i % head_dim_);
  }

 private:
  static void copy(TensorView<const float, 2> hidden, TensorView<float, 3> to) {
    for (std::int64_t token = 0; token < to.extent(0); ++token)
      for (std::int64_t head = 0; head < to.extent(1); ++head)
        for (std::int64_t i = 0; i < to.extent(2); ++i)
          to(token, head, i) = hidden(token, (head * to.extent(2) + i) % hidden.extent(1));
  }

  Way way_;
  int heads_, kv_heads_, head_dim_;
  Fickle fickle_;
  attnlab::CausalMask mask_;
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Straying, Options>(
        {.id = "straying", .summary = "Does what must not be measured.", .reference = "none"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "straying", .version = "1.0", .attention = kAttention);
