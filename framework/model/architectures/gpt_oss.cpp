// gpt-oss: a learned sink for every head, windows in every second layer, and experts with biases whose gates are cut
// off. OpenAI 2025.
#include <cstdint>
#include <utility>

#include "model/architectures/experts_config.h"
#include "model/architectures/names.h"
#include "model/architectures/windows.h"
#include "model/checkpoints/tensor_layout.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

constexpr double kClamp = 7;

void defaults(const ConfigFields&, ModelConfig& config) {
  config.rope_theta = 150000;
}

// Two names of one number.
std::string_view chosen_key(const ConfigFields& fields) {
  constexpr std::string_view key = "num_experts_per_tok", other = "experts_per_token";
  if (fields.has(key) && fields.has(other) && fields.entry(key)->value != fields.entry(other)->value)
    fields.problem(key, fmt::format(" contradicts {}", other), "keep one of the two");
  return fields.has(other) && !fields.has(key) ? other : key;
}

void read(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", true);
  config.sink_logit = true;
  read_alternating_window(fields, config);
  const std::string_view chosen = chosen_key(fields);
  ExpertsConfig experts{.count = fields.required_count("num_local_experts"),
                        .chosen = fields.required_count(chosen),
                        .inner_dim = config.intermediate_dim,
                        .score = RouterScore::softmax_of_chosen,
                        .has_bias = true,
                        .clamp = fields.number("swiglu_limit", kClamp, kPositive),
                        .layers = std::vector<bool>(static_cast<std::size_t>(config.layers), true)};
  check_experts(fields, experts, chosen);
  config.experts = std::move(experts);
}

// Gates are the even columns of a tensor of all experts, ups the odd ones.
void lay_out(const ModelConfig& config, TensorLayout& layout) {
  const std::int64_t count = config.experts->count, inner = config.experts->inner_dim, hidden = config.hidden_dim;
  for (int layer = 0; layer < config.layers; ++layer) {
    const auto stored = [&](const char* name) { return of_layer(layer, fmt::format("mlp.experts.{}", name)); };
    layout.rename(of_layer(layer, "mlp.gate.weight"), of_layer(layer, "mlp.router.weight"));
    layout.rename(of_layer(layer, "mlp.gate.bias"), of_layer(layer, "mlp.router.bias"));
    for (std::int64_t expert = 0; expert < count; ++expert) {
      const auto asked = [&](const char* name) {
        return of_layer(layer, fmt::format("mlp.experts.{}.{}", expert, name));
      };
      for (const auto& [name, first] : {std::pair("gate_proj", 0), std::pair("up_proj", 1)}) {
        layout.columns_of(expert, count, asked(fmt::format("{}.weight", name).c_str()), stored("gate_up_proj"),
                          {inner, hidden}, first, 2 * inner, 2);
        layout.numbers_of(expert, count, asked(fmt::format("{}.bias", name).c_str()), stored("gate_up_proj_bias"),
                          inner, first, 2 * inner, 2);
      }
      layout.columns_of(expert, count, asked("down_proj.weight"), stored("down_proj"), {hidden, inner}, 0, hidden);
      layout.numbers_of(expert, count, asked("down_proj.bias"), stored("down_proj_bias"), hidden, 0, hidden);
    }
  }
}

const DeclaredArchitecture kGptOss(
    {.name = "GptOssForCausalLM", .model_type = "gpt_oss", .defaults = defaults, .read = read, .lay_out = lay_out});

}  // namespace
}  // namespace attnlab::model
