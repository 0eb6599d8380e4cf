// DeepSeek V2 and V3: latent attention, and experts beside an MLP that all tokens go through. DeepSeek-AI 2024.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/architectures/experts_config.h"
#include "model/architectures/windows.h"
#include "model/checkpoints/strict_json.h"
#include "model/checkpoints/tensor_layout.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

void defaults(const ConfigFields& fields, ModelConfig& config) {
  config.has_latent_attention = true;
  config.rope_traditional = fields.flag("rope_interleave", true);
  // Those that are there are checked where all families' are read.
  for (const std::string_view width : {"qk_nope_head_dim", "qk_rope_head_dim", "kv_lora_rank", "v_head_dim"})
    if (!fields.has(width)) (void)fields.required_count(width);
  config.head_dim =
      fields.known_count("qk_nope_head_dim", kMaxLatentDim) + fields.known_count("qk_rope_head_dim", kMaxLatentDim);
}

// The heads' width that counts is that of queries; yarn's temperature is on the scores.
double scale_of_scores(const ModelConfig& config) {
  const double scale = 1 / std::sqrt(static_cast<double>(std::max(1, config.head_dim)));
  if (!config.rope_scaling || config.rope_scaling->type != "yarn" || !config.rope_scaling->mscale_all_dim) return scale;
  const double factor = config.rope_scaling->factor.value_or(1);
  const double magnitude = factor > 1 ? 0.1 * *config.rope_scaling->mscale_all_dim * std::log(factor) + 1 : 1;
  return scale * magnitude * magnitude;
}

void read_attention(const ConfigFields& fields, ModelConfig& config) {
  if (fields.has("q_lora_rank") && fields.entry("q_lora_rank")->value == 0)
    fields.problem("q_lora_rank", ": 0 is no rank", "write null where queries are not compressed");
  config.attention_scale = {scale_of_scores(config)};
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
  check_no_window(fields, config);
}

void refuse_others(const ConfigFields& fields, std::string_view key, std::initializer_list<std::string_view> read) {
  const std::optional<std::string> given = fields.text(key);
  if (!given || std::ranges::find(read, *given) != read.end()) return;
  fields.problem(key, fmt::format(": {} is not supported", in_quotes(*given)),
                 fmt::format("supported are {}", fmt::join(read, ", ")));
}

enum class Grouped : bool { no, yes };

void read_experts(const ConfigFields& fields, ModelConfig& config, ExpertsConfig experts, Grouped grouped,
                  int dense_layers) {
  experts.count = fields.required_count("n_routed_experts");
  experts.chosen = fields.required_count("num_experts_per_tok");
  experts.inner_dim = fields.required_count("moe_intermediate_size");
  experts.scale = fields.number("routed_scaling_factor", experts.scale, kPositive);
  const std::int64_t shared = std::int64_t{fields.count("n_shared_experts", 0, 0)} * experts.inner_dim;
  if (shared > kMaxCount) fields.problem("n_shared_experts", " are wider than can be counted", "give smaller sizes");
  experts.shared_dim = shared > kMaxCount ? 0 : static_cast<int>(shared);
  const int groups = fields.count("n_group", experts.groups);
  const int chosen_groups = fields.count("topk_group", experts.chosen_groups);
  if (grouped == Grouped::yes) {  // else they say nothing
    experts.groups = groups;
    experts.chosen_groups = chosen_groups;
  }
  const int first = fields.count("first_k_dense_replace", dense_layers, 0);
  for (int layer = 0; layer < config.layers; ++layer) experts.layers.push_back(layer >= first);
  if (fields.count("moe_layer_freq", 1) > 1)
    fields.problem("moe_layer_freq", ": only 1 is supported", "every layer after the dense ones has experts");
  check_experts(fields, experts, "num_experts_per_tok");
  config.experts = std::move(experts);
}

void read_v2(const ConfigFields& fields, ModelConfig& config) {
  read_attention(fields, config);
  refuse_others(fields, "scoring_func", {"softmax"});
  refuse_others(fields, "topk_method", {"greedy", "group_limited_greedy"});
  if (fields.flag("norm_topk_prob", false))
    fields.problem("norm_topk_prob", ": true is not supported", "implementations disagree on what it means here");
  const bool is_grouped = fields.text("topk_method").value_or("greedy") == "group_limited_greedy";
  read_experts(fields, config, {}, is_grouped ? Grouped::yes : Grouped::no, 0);
}

void read_v3(const ConfigFields& fields, ModelConfig& config) {
  read_attention(fields, config);
  refuse_others(fields, "scoring_func", {"sigmoid"});
  refuse_others(fields, "topk_method", {"noaux_tc"});
  constexpr double scale = 2.5;  // transformers' defaults, as the groups and the dense layers
  constexpr int dense_layers = 3;
  read_experts(fields, config,
               {.score = RouterScore::sigmoid,
                .renormalises = fields.flag("norm_topk_prob", true),
                .scale = scale,
                .groups = 8,
                .chosen_groups = 4,
                .groups_by_two_best = true,
                .has_choice_bias = true},
               Grouped::yes, dense_layers);
}

// Layers that predict further tokens stand behind the model's own.
void lay_out(const ModelConfig& config, TensorLayout& layout) {
  layout.ignore_layers_from(config.layers);
}

const DeclaredArchitecture kDeepseekV2({.name = "DeepseekV2ForCausalLM",
                                        .model_type = "deepseek_v2",
                                        .ignored_keys = {"num_key_value_heads", "head_dim"},
                                        .defaults = defaults,
                                        .read = read_v2,
                                        .lay_out = lay_out});
const DeclaredArchitecture kDeepseekV3({.name = "DeepseekV3ForCausalLM",
                                        .model_type = "deepseek_v3",
                                        .ignored_keys = {"num_key_value_heads", "head_dim"},
                                        .defaults = defaults,
                                        .read = read_v3,
                                        .lay_out = lay_out});

}  // namespace
}  // namespace attnlab::model
