#include <attnlab/head_projections.h>

#include <cmath>
#include <string>

#include <attnlab/error.h>
#include <attnlab/ops.h>

namespace attnlab {

HeadProjections::HeadProjections(int kv_heads, const CreateContext& context)
    : heads_(context.heads), kv_heads_(kv_heads), head_dim_(context.head_dim), hidden_dim_(context.hidden_dim) {
  if (kv_heads_ < 1 || heads_ % kv_heads_ != 0)
    throw Error("", std::to_string(heads_) + " heads are not divisible by " + std::to_string(kv_heads_) + " kv heads",
                "kv_heads must be a divisor of " + std::to_string(heads_));
}

std::vector<ParameterSpec> HeadProjections::parameters() const {
  const std::int64_t q_width = std::int64_t{heads_} * head_dim_;
  const std::int64_t kv_width = std::int64_t{kv_heads_} * head_dim_;
  return {{.name = "q_proj.weight", .shape = {q_width, hidden_dim_}},
          {.name = "k_proj.weight", .shape = {kv_width, hidden_dim_}, .convert_heads = kv_heads_},
          {.name = "v_proj.weight", .shape = {kv_width, hidden_dim_}, .convert_heads = kv_heads_},
          {.name = "o_proj.weight", .shape = {hidden_dim_, q_width}}};
}

void HeadProjections::bind(const ParameterSet& parameters) {
  q_ = &parameters.matrix("q_proj.weight");
  k_ = &parameters.matrix("k_proj.weight");
  v_ = &parameters.matrix("v_proj.weight");
  o_ = &parameters.matrix("o_proj.weight");
}

HeadProjections::Rows HeadProjections::project(Steps& steps, TensorView<const float, 2> hidden,
                                               std::span<const Projection> others) const {
  const std::int64_t tokens = hidden.extent(0);
  Rows rows{steps.rows(tokens, heads_, head_dim_), steps.rows(tokens, kv_heads_, head_dim_),
            steps.rows(tokens, kv_heads_, head_dim_)};
  thread_local std::vector<Projection> all;  // a decode step allocates nothing
  all.clear();
  all.push_back({*q_, flat(rows.q)});
  all.push_back({*k_, flat(rows.k)});
  all.push_back({*v_, flat(rows.v)});
  for (const Projection& other : others) all.push_back(other);
  steps.project(hidden, all);
  return rows;
}

void HeadProjections::project_back(Steps& steps, TensorView<float, 3> mixed, TensorView<float, 2> out) const {
  steps.project(flat(mixed), {*o_, out});
}

float HeadProjections::scale() const noexcept {
  return 1 / std::sqrt(static_cast<float>(head_dim_));
}

}  // namespace attnlab
