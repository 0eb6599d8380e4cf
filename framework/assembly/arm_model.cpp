#include "assembly/arm_model.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>

#include <attnlab/error.h>

#include "assembly/model_defaults.h"
#include "machine/instructions.h"
#include "machine/memory.h"
#include "registry/composition.h"

namespace attnlab::experiment {
namespace {

using nlohmann::ordered_json;

// Rules across options, once those of the model are among them.
void check_options(const Descriptor& component, const OptionValues& options, const Registry& registry,
                   const std::string& where) {
  Problems problems;
  registry.check(component, options, problems);
  if (problems.entries().empty()) return;
  std::vector<Problem> found;
  for (const Problems::Entry& entry : problems.entries())
    found.push_back({where, fmt::format("{}.{}: {}", component.id, entry.option, entry.what), {}});
  throw Error(std::move(found));
}

ResolvedComponent resolve_component(const ComponentChoice& choice, const OptionValues& defaults,
                                    const OptionValues& keys, const Registry& registry) {
  ResolvedComponent resolved;
  resolved.where = choice.where.text();
  resolved.descriptor = &registry.get(choice.kind, choice.id, resolved.where);
  resolved.options = complete_options(*resolved.descriptor, choice.options, defaults, keys, resolved.where);
  check_options(*resolved.descriptor, resolved.options, registry, resolved.where);
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

// Storages draw no random numbers.
constexpr std::uint64_t kAnySeed = 1;

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

std::shared_ptr<const RowStorage> make_storage(const StorageChoice& storage, const Registry& registry,
                                               const CreateContext& context, const OptionValues& defaults,
                                               const OptionValues& keys_of_model, const std::string& where) {
  const auto make = [&](const StoragePart& part) -> DeclaredStorage {
    const Descriptor& descriptor = registry.get(Kind::storage, part.id, where);
    const OptionValues options = complete_options(descriptor, part.options, defaults, keys_of_model, where);
    check_options(descriptor, options, registry, where);
    try {
      return {registry.storage(part.id, options, context), registry.traits(descriptor, options)};
    } catch (const OptionError& error) {
      throw OptionError(where, error.problems().front().what, error.problems().front().remedy);
    }
  };
  const DeclaredStorage keys = make(storage.keys);
  return std::make_shared<RowStorage>(keys, storage.values == storage.keys ? keys : make(storage.values), storage.page);
}

Part storage_part(const StorageChoice& storage, const Registry& registry, KeyForm form) {
  const auto traits = [&](const StoragePart& part) {
    return registry.traits(registry.get(Kind::storage, part.id, ""), part.options);
  };
  const Traits keys = traits(storage.keys), values = traits(storage.values);
  // Of two storages, conflicts are said of the one that has something to say.
  const bool is_values = keys.excludes.empty() && keys.provides.empty();
  Part part{Kind::storage,
            is_values ? storage.values.id : storage.keys.id,
            {keys.provides | values.provides, keys.needs | values.needs, keys.excludes | values.excludes},
            is_values ? storage.values.options : storage.keys.options};
  part.traits.provides.add(form == KeyForm::unrotated ? Feature::unrotated_store : Feature::rotated_store);
  return part;
}

std::vector<const Descriptor*> ResolvedLayer::descriptors() const {
  std::vector<const Descriptor*> all{attention.descriptor, position.descriptor, cache.descriptor};
  all.insert(all.end(), storages.begin(), storages.end());
  return all;
}

ArmDefaults arm_defaults(const model::ModelConfig& config) {
  return {.attention = own_attention(config), .position = config.learned_positions ? kLearnedPosition : kPlainPosition};
}

ResolvedArm resolve_arm(const Arm& choices, const model::ModelConfig& config, const Registry& registry) {
  const auto attention = choices.attention.resolve(config.layers);
  const auto position = choices.position.resolve(config.layers);
  const auto cache = choices.cache.resolve(config.layers);
  ResolvedArm arm;
  arm.weights = choices.weights;
  arm.compute = choices.compute.value_or(Arithmetic::f32);
  if (arm.compute == Arithmetic::bf16 && !multiplies_bf16())
    arm.conflicts.push_back(fmt::format("compute: {}; leave it out, or use f32", kNoBf16));
  for (int layer = 0; layer < config.layers; ++layer) {
    const OptionValues defaults = model_defaults(config, layer);
    ResolvedLayer resolved{.attention = resolve_component(*attention[layer], defaults, config.keys, registry),
                           .position = resolve_component(*position[layer], defaults, config.keys, registry),
                           .cache = resolve_component(*cache[layer], defaults, config.keys, registry)};
    for (StoragePart* part : {&resolved.cache.storage.keys, &resolved.cache.storage.values}) {
      const Descriptor& storage = registry.get(Kind::storage, part->id, resolved.cache.where);
      // What a storage provides and excludes may follow from what the model gives.
      *part = part_of(storage, complete_options(storage, part->options, defaults, config.keys, resolved.cache.where));
      resolved.storages.push_back(&storage);
    }
    resolved.cache.rows = make_storage(resolved.cache.storage, registry, context_of(config, layer, kAnySeed), defaults,
                                       config.keys, resolved.cache.where);
    if (attention[layer]->id != own_attention(config) || !attention[layer]->options.empty())
      arm.replaced_attention = true;
    const auto traits = [&](const ResolvedComponent& component) {
      return registry.traits(*component.descriptor, component.options);
    };
    const Traits of_position = traits(resolved.position);
    const Traits of_cache = with_key_form(*cache[layer], of_position, traits(resolved.cache), resolved.cache.key_form);
    const Part parts[] = {
        {Kind::attention, resolved.attention.descriptor->id, traits(resolved.attention), resolved.attention.options},
        {Kind::position, resolved.position.descriptor->id, of_position, resolved.position.options},
        {Kind::cache, resolved.cache.descriptor->id, of_cache, resolved.cache.options},
        storage_part(resolved.cache.storage, registry, resolved.cache.key_form)};
    const auto add_new = [](std::vector<std::string>& list, std::vector<std::string> found) {
      for (std::string& text : found)
        if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(std::move(text));
    };
    add_new(arm.conflicts, conflicts(parts, registry));
    add_new(arm.notes, notes(parts));
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
  if (arm.weights) described["weights"] = element_name(*arm.weights);
  if (arm.compute != Arithmetic::f32) described["compute"] = arithmetic_name(arm.compute);
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
  components.make_rows = [rows = chosen.cache.rows](const KvShape& shape, int sequences, int capacity) {
    return rows->make_rows(shape, sequences, capacity);
  };
  components.list_bytes = [rows = chosen.cache.rows](const KvShape& shape, int count) {
    return rows->list_bytes(shape, count);
  };
  components.row_bytes = [rows = chosen.cache.rows](const KvShape& shape) { return rows->row_bytes(shape); };
  // A policy that puts others in the place of rows (merging) says so by what it cannot be combined with.
  const bool replaces_rows =
      registry.traits(*chosen.cache.descriptor, chosen.cache.options).excludes.has(Feature::fixed_rows);
  components.row_step = replaces_rows ? std::numeric_limits<double>::infinity()
                                      : chosen.cache.rows->row_step(components.attention->kv_shape());
  components.seed = seed;
  return components;
}

model::WeightStore weights_of(const ResolvedArm& arm, const ModelSource& source, const BuildOptions& options) {
  model::WeightStore weights = source.weights(options.seed, options.allow_nonfinite);
  weights.limit_bytes(static_cast<std::size_t>(memory_limit_bytes()));
  if (options.check_only) weights.check_only();
  if (options.widen) weights.widen();
  if (arm.weights && !options.trains) weights.hold_as(*arm.weights);
  weights.multiply_in(options.trains ? options.trains_in : arm.compute);
  weights.take_from(options.shared);
  return weights;
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
  model::Decoder decoder(config, std::move(layers), weights_of(arm, source, options), arm.replaced_attention);
  if (!options.trains) decoder.attend_in(arm.compute);
  return decoder;
}

}  // namespace attnlab::experiment
