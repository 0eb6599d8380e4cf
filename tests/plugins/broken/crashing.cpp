// Sound and loaded; its attention ends the trial in the way that its option names, at its first call.
#include <cstdlib>
#include <new>
#include <stdexcept>

#include <attnlab/plugin.h>

namespace {

enum class Ending : std::uint8_t { abort, exit, exception, memory };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Ending>, 4> attnlab::kChoices<Ending>{
    {{"abort", Ending::abort}, {"exit", Ending::exit}, {"exception", Ending::exception}, {"memory", Ending::memory}}};

namespace {

struct Options {
  Ending ending = Ending::abort;
  static constexpr auto fields() {
    return std::tuple{attnlab::field("ending", &Options::ending, {.doc = "How the trial ends."})};
  }
};

class Crashing final : public attnlab::AttentionVariant {
 public:
  Crashing(const Options& options, const attnlab::CreateContext& context)
      : ending_(options.ending), kv_heads_(context.kv_heads), head_dim_(context.head_dim) {}
  static attnlab::Traits traits(const Options&) { return {.provides = {attnlab::Feature::kv_rows}}; }

  attnlab::KvShape kv_shape() const override { return {kv_heads_, head_dim_, head_dim_}; }
  void forward(const attnlab::LayerContext&, attnlab::TensorView<const float, 2>,
               attnlab::TensorView<float, 2>) override {
    switch (ending_) {
      case Ending::abort:
        std::abort();
      case Ending::exit:
        std::_Exit(3);
      case Ending::exception:
        throw std::runtime_error("the attention wandered off");
      case Ending::memory:
        throw std::bad_alloc();
    }
  }

 private:
  Ending ending_;
  int kv_heads_;
  int head_dim_;
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Crashing, Options>(
        {.id = "crashing", .summary = "Ends the trial.", .reference = "none"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "crashing", .version = "1.0", .attention = kAttention);
