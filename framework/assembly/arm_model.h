// From an arm's choices to a model that runs: options completed by the model's own configuration, the combination
// checked, components made for every layer.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>

#include "assembly/model_source.h"
#include "choices/arm.h"
#include "model/decoder.h"
#include "registry/composition.h"
#include "registry/registry.h"
#include "rows/row_storage.h"

namespace attnlab::experiment {

/// The components of a model for which none were chosen: its own attention by its head counts, rope, the full cache.
[[nodiscard]] ATTNLAB_API ArmDefaults arm_defaults(const model::ModelConfig& config);

/// A component with all its options, for one layer.
struct ResolvedComponent {
  const Descriptor* descriptor = nullptr;
  OptionValues options;   // written and from the model; what is absent has the component's default
  StorageChoice storage;  // of a cache
  std::shared_ptr<const RowStorage> rows = nullptr;  // of a cache: what holds them
  KeyForm key_form = KeyForm::rotated;               // of a cache
  std::string where;
};

struct ResolvedLayer {
  ResolvedComponent attention, position, cache;
  std::vector<const Descriptor*> storages;  // of keys and of values

  /// Of all of them.
  [[nodiscard]] ATTNLAB_API std::vector<const Descriptor*> descriptors() const;
};

struct ResolvedArm {
  std::vector<ResolvedLayer> layers;
  std::optional<ElementType> weights;  // how matrices are held; none: as they are stored
  Arithmetic compute = Arithmetic::f32;
  bool replaced_attention = false;     // the attention is not the model's own, or has options of its own
  std::vector<std::string> conflicts;  // why the arm cannot run; empty: it can
  std::vector<std::string> notes;      // what the report has to say of the combination
};

/// Error for what is wrong with the options; combinations that do not fit are `conflicts`.
[[nodiscard]] ATTNLAB_API ResolvedArm resolve_arm(const Arm& choices, const model::ModelConfig& config,
                                                  const Registry& registry);

/// For plan.yaml: {attention: {gqa: {...}}, position: ..., cache: ...} with every option, defaults included; layers
/// that are alike are written once.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json describe_arm(const ResolvedArm& arm);

/// Schemes that were made: one without weights of the layer's own holds tables that can be large, so layers with the
/// same options share it.
using SharedSchemes = std::map<std::tuple<const Descriptor*, OptionValues, int>, std::shared_ptr<PositionScheme>>;

/// The components of one layer, made but not bound to weights.
[[nodiscard]] model::LayerComponents make_components(const ResolvedLayer& chosen, const Registry& registry,
                                                     const model::ModelConfig& config, int layer, std::uint64_t seed,
                                                     SharedSchemes& schemes);

struct BuildOptions {
  std::uint64_t seed = 1;
  bool allow_nonfinite = false;
  bool check_only = false;                 // look at the tensors' names and shapes, read no weights
  bool widen = false;                      // f32, whatever the checkpoint and the arm have
  bool trains = false;                     // matrices are f32, and multiplied as the training says, not the arm
  Arithmetic trains_in = Arithmetic::f32;  // where it widens: in place of the arm's own
  model::SharedParts shared = {};          // weights that need not be packed
};

/// Where the arm's weights come from, and how they are held.
[[nodiscard]] model::WeightStore weights_of(const ResolvedArm& arm, const ModelSource& source,
                                            const BuildOptions& options);

[[nodiscard]] ATTNLAB_API model::Decoder build_decoder(const ResolvedArm& arm, const ModelSource& source,
                                                       const Registry& registry, const BuildOptions& options);

/// `form` receives how keys are stored: as was written, else rotated unless the scheme's angles depend on the length.
/// The cache's traits, with what follows from an explicit choice.
[[nodiscard]] ATTNLAB_API Traits with_key_form(const ComponentChoice& choice, const Traits& position, Traits cache,
                                               KeyForm& form);

/// The storages of a choice, made. Options that were not written come from what a model gives (complete_options);
/// `where`: the place of what is wrong with them.
[[nodiscard]] ATTNLAB_API std::shared_ptr<const RowStorage> make_storage(
    const StorageChoice& storage, const Registry& registry, const CreateContext& context, const OptionValues& defaults,
    const OptionValues& keys_of_model, const std::string& where);

/// What a choice of storages needs and offers together, for the composition check: by the options that it has, so those
/// that a model gives are completed before, where there is a model.
[[nodiscard]] ATTNLAB_API Part storage_part(const StorageChoice& storage, const Registry& registry, KeyForm form);

}  // namespace attnlab::experiment
