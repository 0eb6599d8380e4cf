// Attention that keeps no rule of its host: each component breaks one.
#include <cstdlib>

#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

enum class Way {
  odd_shape,
  odd_state,
  odd_parameter,
  skips_tokens,
  narrow_keys,
  narrow_queries,
  leaves_output,
  odd_product,
  throws_int,
  aborts
};

template <Way kWay>
class Careless final : public AttentionVariant {
 public:
  Careless(const NoOptions&, const CreateContext& context)
      : heads_(context.heads), kv_heads_(context.kv_heads), head_dim_(context.head_dim) {}
  static Traits traits(const NoOptions&) { return {.provides = {Feature::kv_rows, Feature::attention_mass}}; }

  std::vector<ParameterSpec> parameters() const override {
    if (kWay == Way::odd_parameter) return {{.name = "q_proj.weight", .shape = {64, -1}}};
    if (kWay == Way::odd_product) return {{.name = "q_proj.weight", .shape = {64, 7}}};
    return {};
  }
  void bind(const ParameterSet& parameters) override {
    if (kWay == Way::odd_product) odd_ = &parameters.matrix("q_proj.weight");
  }
  KvShape kv_shape() const override {
    return {.kv_heads = kv_heads_, .key_dim = kWay == Way::odd_shape ? 0 : head_dim_, .value_dim = head_dim_};
  }
  std::int64_t state_floats() const override { return kWay == Way::odd_state ? -1 : 0; }

  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    if (kWay == Way::throws_int) throw 7;
    if (kWay == Way::aborts) std::abort();
    const int tokens = layer.chunk.tokens();
    Steps& steps = layer.steps;
    auto queries = steps.rows(tokens, heads_, head_dim_);
    auto keys = steps.rows(tokens, kv_heads_, head_dim_);
    auto values = steps.rows(tokens, kv_heads_, head_dim_);
    if (kWay == Way::odd_product) steps.project(hidden, {*odd_, flat(queries)});
    for (const TensorView<float, 2> rows : {flat(queries), flat(keys), flat(values)})
      for (int token = 0; token < tokens; ++token) std::copy_n(&hidden(token, 0), rows.extent(1), &rows(token, 0));
    if (kWay == Way::narrow_keys)
      steps.append({keys.data(), {tokens, kv_heads_, head_dim_ / 2}}, values);
    else if (kWay != Way::skips_tokens)
      steps.append(keys, values);
    const CausalMask mask;
    const int width = kWay == Way::narrow_queries ? head_dim_ / 2 : head_dim_;
    if (kWay == Way::skips_tokens || kWay == Way::leaves_output) return;
    steps.attend({.queries = {queries.data(), {tokens, heads_, width}}, .scale = 0.25F, .mask = mask},
                 {out.data(), {tokens, heads_, head_dim_}});
  }

 private:
  int heads_, kv_heads_, head_dim_;
  const Matrix* odd_ = nullptr;
};

template <Way kWay>
constexpr Component<AttentionVariant> careless(std::string_view id) {
  return component<AttentionVariant, Careless<kWay>>(broken_info(id));
}

constexpr Component<AttentionVariant> kBroken[] = {
    careless<Way::odd_shape>("odd_shape"),         careless<Way::odd_state>("odd_state"),
    careless<Way::odd_parameter>("odd_parameter"), careless<Way::skips_tokens>("skips_tokens"),
    careless<Way::narrow_keys>("narrow_keys"),     careless<Way::narrow_queries>("narrow_queries"),
    careless<Way::leaves_output>("leaves_output"), careless<Way::odd_product>("odd_product"),
    careless<Way::throws_int>("throws_a_number"),  careless<Way::aborts>("aborts")};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "careless", .version = "1.0", .attention = attnlab::broken::kBroken);
