#include "experiment/arm_model.h"

#include <fmt/format.h>

#include <algorithm>

#include <attnlab/error.h>

#include "experiment/memory.h"
#include "experiment/model_defaults.h"
#include "registry/composition.h"

namespace attnlab::experiment {
namespace {

using nlohmann::ordered_json;

ResolvedComponent resolve_component(const ComponentChoice& choice, const OptionValues& defaults,
                                    const Registry& registry) {
  ResolvedComponent resolved;
  resolved.where = choice.where.text();
  resolved.descriptor = &registry.get(choice.kind, choice.id, resolved.where);
  resolved.options = complete_options(*resolved.descriptor, choice.options, defaults, resolved.where);
  Problems problems;
  registry.check(*resolved.descriptor, resolved.options, problems);
  if (!problems.entries().empty()) {
    std::vector<Problem> found;
    for (const Problems::Entry& entry : problems.entries())
      found.push_back(
          {resolved.where, fmt::format("{}.{}: {}", resolved.descriptor->id, entry.option, entry.what), {}});
    throw Error(std::move(found));
  }
  if (choice.storage) resolved.storage = *choice.storage;
  return resolved;
}

// A budget in tokens is a number, as it is mostly written; a share or bytes are their text.
ordered_json option_json(const OptionSpec& option, const OptionValue& value) {
  if (const auto* text = std::get_if<std::string>(&value); text != nullptr && option.type == OptionType::budget)
    if (const auto budget = Budget::parse(*text); budget && budget->unit == Budget::Unit::tokens)
      return static_cast<std::int64_t>(budget->amount);
  return std::visit(
      [](const auto& held) -> ordered_json {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::monostate>)
          return nullptr;
        else
          return held;
      },
      value);
}

ordered_json describe_component(const ResolvedComponent& component) {
  ordered_json options = ordered_json::object();
  for (const OptionSpec& option : component.descriptor->options) {
    const auto found = component.options.find(option.name);
    options[option.name] = option_json(option, found == component.options.end() ? option.default_value : found->second);
  }
  if (component.descriptor->kind == Kind::cache) {
    options["storage"] = storage_json(component.storage);
    options["keys"] = component.key_form == KeyForm::rotated ? "rotated" : "unrotated";
  }
  return {{component.descriptor->id, options}};
}

std::optional<std::int64_t> tokens_of(const ResolvedComponent& component, std::string_view option) {
  OptionValue value;
  for (const OptionSpec& spec : component.descriptor->options)
    if (spec.name == option) value = spec.default_value;
  if (const auto given = component.options.find(option); given != component.options.end()) value = given->second;
  if (const auto* count = std::get_if<std::int64_t>(&value)) return *count;
  if (const auto* text = std::get_if<std::string>(&value))
    if (const auto budget = Budget::parse(*text); budget && budget->unit == Budget::Unit::tokens)
      return static_cast<std::int64_t>(budget->amount);
  return std::nullopt;
}

// A window of the attention that is no wider than what the policy keeps: what is evicted was not seen any more.
std::optional<std::string> never_evicts(const ResolvedLayer& layer) {
  const auto seen = tokens_of(layer.attention, "window");
  if (!seen || *seen == 0) return std::nullopt;
  std::optional<std::int64_t> kept = tokens_of(layer.cache, "budget");
  if (!kept) kept = tokens_of(layer.cache, "window");
  if (const auto heavy = tokens_of(layer.cache, "heavy"); heavy && !kept)
    kept = *heavy + tokens_of(layer.cache, "recent").value_or(0);
  if (!kept || *kept < *seen) return std::nullopt;
  return fmt::format("attention \"{}\" sees {} tokens and cache \"{}\" keeps {}: it never evicts a row that is seen",
                     layer.attention.descriptor->id, *seen, layer.cache.descriptor->id, *kept);
}

// Makes a component; what it says of its options gets the place where they were written.
template <class Make>
auto make_component(const ResolvedComponent& component, const Make& make) {
  try {
    return make();
  } catch (const OptionError& error) {
    throw OptionError(component.where, error.problems().front().what, error.problems().front().remedy);
  }
}

bool has_layer_parameters(const Module& module) {
  const std::vector<ParameterSpec> specs = module.parameters();
  return std::any_of(specs.begin(), specs.end(),
                     [](const ParameterSpec& spec) { return spec.scope == ParameterScope::layer; });
}

CreateContext context_of(const model::ModelConfig& config, int layer, std::uint64_t seed) {
  return {.layer = layer,
          .layers = config.layers,
          .hidden_dim = config.hidden_dim,
          .heads = config.heads,
          .kv_heads = config.kv_heads,
          .head_dim = config.head_dim,
          .max_positions = config.max_positions,
          .rms_norm_eps = config.rms_norm_eps,
          .seed = seed};
}

// A layer that reads the rows of another has no cache of its own to choose, and its queries meet keys as they were
// stored.
void check_reader(const ResolvedLayer& reader, int layer, const ResolvedLayer& owner, int of) {
  const auto same = [&](const ResolvedComponent& own, const ResolvedComponent& read, const char* kind) {
    if (describe_component(own) == describe_component(read)) return;
    throw Error(own.where,
                fmt::format("layer {} reads the rows of layer {} and has another {}: {} against {}", layer, of, kind,
                            describe_component(own).dump(), describe_component(read).dump()),
                fmt::format("choose the same {} for layers that share rows", kind));
  };
  same(reader.cache, owner.cache, "cache");
  same(reader.position, owner.position, "position");
}

}  // namespace

Traits with_key_form(const ComponentChoice& choice, const Traits& position, Traits cache, KeyForm& form) {
  const StoredKeys keys = choice.keys.value_or(StoredKeys::auto_);
  const bool by_length = position.provides.has(Feature::length_dependent_rotation);
  form =
      keys == StoredKeys::unrotated || (keys == StoredKeys::auto_ && by_length) ? KeyForm::unrotated : KeyForm::rotated;
  if (keys == StoredKeys::rotated) cache.excludes.add(Feature::length_dependent_rotation);
  return cache;
}

Part storage_part(const StorageChoice& storage, KeyForm form) {
  Part part{Kind::cache, storage.keys, {}, "storage"};
  part.traits.provides.add(form == KeyForm::unrotated ? Feature::unrotated_store : Feature::rotated_store);
  if (storage.keys == "kivi") {
    part.traits.provides.add(Feature::whole_groups);
    part.traits.excludes.add(Feature::token_eviction);
  }
  return part;
}

ArmDefaults arm_defaults(const model::ModelConfig& config) {
  return {.attention = own_attention(config)};
}

ResolvedArm resolve_arm(const Arm& choices, const model::ModelConfig& config, const Registry& registry) {
  const auto attention = choices.attention.resolve(config.layers);
  const auto position = choices.position.resolve(config.layers);
  const auto cache = choices.cache.resolve(config.layers);
  ResolvedArm arm;
  for (int layer = 0; layer < config.layers; ++layer) {
    const OptionValues defaults = model_defaults(config, layer);
    ResolvedLayer resolved{.attention = resolve_component(*attention[layer], defaults, registry),
                           .position = resolve_component(*position[layer], defaults, registry),
                           .cache = resolve_component(*cache[layer], defaults, registry)};
    if (attention[layer]->id != own_attention(config) || !attention[layer]->options.empty())
      arm.replaced_attention = true;
    const auto traits = [&](const ResolvedComponent& component) {
      return registry.traits(*component.descriptor, component.options);
    };
    const Traits of_position = traits(resolved.position);
    const Traits of_cache = with_key_form(*cache[layer], of_position, traits(resolved.cache), resolved.cache.key_form);
    const Part parts[] = {{Kind::attention, resolved.attention.descriptor->id, traits(resolved.attention)},
                          {Kind::position, resolved.position.descriptor->id, of_position},
                          {Kind::cache, resolved.cache.descriptor->id, of_cache},
                          storage_part(resolved.cache.storage, resolved.cache.key_form)};
    const auto add_new = [](std::vector<std::string>& list, std::vector<std::string> found) {
      for (std::string& text : found)
        if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(std::move(text));
    };
    add_new(arm.conflicts, conflicts(parts));
    add_new(arm.notes, notes(parts));
    if (const auto idle = never_evicts(resolved)) add_new(arm.notes, {*idle});
    if (layer > 0 && resolved.position.descriptor != arm.layers.front().position.descriptor &&
        (of_position.provides |
         registry.traits(*arm.layers.front().position.descriptor, arm.layers.front().position.options).provides)
            .has(Feature::embedded_positions)) {
      const std::string conflict = fmt::format(
          "position \"{}\" of layer {} differs from position \"{}\" of layer 0, but positions that are added to "
          "embeddings belong to the whole model; use one of them for all layers",
          resolved.position.descriptor->id, layer, arm.layers.front().position.descriptor->id);
      if (arm.conflicts.empty()) arm.conflicts.push_back(conflict);
    }
    arm.layers.push_back(std::move(resolved));
  }
  return arm;
}

ordered_json describe_arm(const ResolvedArm& arm) {
  ordered_json described;
  const auto kind = [&](const char* name, const ResolvedComponent& (*part)(const ResolvedLayer&)) {
    ordered_json base = describe_component(part(arm.layers.front()));
    ordered_json others = ordered_json::object();
    for (std::size_t layer = 1; layer < arm.layers.size(); ++layer)
      if (ordered_json own = describe_component(part(arm.layers[layer])); own != base)
        others[std::to_string(layer)] = std::move(own);
    if (!others.empty()) base["layers"] = std::move(others);
    described[name] = std::move(base);
  };
  kind("attention", [](const ResolvedLayer& layer) -> const ResolvedComponent& { return layer.attention; });
  kind("position", [](const ResolvedLayer& layer) -> const ResolvedComponent& { return layer.position; });
  kind("cache", [](const ResolvedLayer& layer) -> const ResolvedComponent& { return layer.cache; });
  return described;
}

model::LayerComponents make_components(const ResolvedLayer& chosen, const Registry& registry,
                                       const model::ModelConfig& config, int layer, std::uint64_t seed,
                                       SharedSchemes& schemes) {
  const CreateContext context = context_of(config, layer, seed);
  model::LayerComponents components;
  components.attention = make_component(chosen.attention, [&] {
    return registry.attention(chosen.attention.descriptor->id, chosen.attention.options, context);
  });
  // The scheme turns what the variant's keys have to turn, which is not always a whole head.
  CreateContext of_position = context;
  if (const KvShape shape = components.attention->kv_shape(); shape.kv_heads > 0)
    of_position.head_dim = shape.rotation_width();
  auto& shared = schemes[{chosen.position.descriptor, chosen.position.options, of_position.head_dim}];
  if (shared == nullptr || has_layer_parameters(*shared))
    shared = make_component(chosen.position, [&] {
      return registry.position(chosen.position.descriptor->id, chosen.position.options, of_position);
    });
  components.position = shared;
  components.cache = make_component(
      chosen.cache, [&] { return registry.cache(chosen.cache.descriptor->id, chosen.cache.options, context); });
  components.key_form = chosen.cache.key_form;
  components.make_rows = [storage = chosen.cache.storage](const KvShape& shape, int sequences, int capacity) {
    return make_rows(storage, shape, sequences, capacity);
  };
  components.list_bytes = [storage = chosen.cache.storage](const KvShape& shape, int rows) {
    return list_bytes(storage, shape, rows);
  };
  components.row_bytes = [storage = chosen.cache.storage](const KvShape& shape) { return row_bytes(storage, shape); };
  components.seed = seed;
  return components;
}

model::Decoder build_decoder(const ResolvedArm& arm, const ModelSource& source, const Registry& registry,
                             const BuildOptions& options) {
  const model::ModelConfig& config = source.config();
  std::vector<model::LayerComponents> layers;
  SharedSchemes schemes;
  for (int layer = 0; layer < config.layers; ++layer)
    layers.push_back(make_components(arm.layers[layer], registry, config, layer, options.seed, schemes));
  for (int layer = 0; layer < config.layers; ++layer) {
    const int of = layers[layer].attention->kv_layer();
    if (of >= 0 && of < layer) check_reader(arm.layers[layer], layer, arm.layers[of], of);
  }
  model::WeightStore weights = source.weights(options.seed, options.allow_nonfinite);
  weights.limit_bytes(static_cast<std::size_t>(memory_limit_bytes()));
  if (options.check_only) weights.check_only();
  return {config, std::move(layers), std::move(weights), arm.replaced_attention};
}

}  // namespace attnlab::experiment
