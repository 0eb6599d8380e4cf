// Loads what components declare and hands it to them. Components that layers share are loaded once.
#pragma once

#include <list>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/module.h>

#include "model/weight_store.h"
#include "ops/matrix.h"

namespace attnlab::model {

struct LayerComponents;

/// One tensor of a model under its checkpoint name, where it stands: as a packed matrix or as plain floats.
struct ParameterPlace {
  std::string name;
  std::vector<std::int64_t> shape;
  Matrix* matrix = nullptr;
  std::span<float> values = {};  // where it is no matrix
};

/// Owns the parameters of one layer's components, at fixed addresses.
class ATTNLAB_API BoundParameters {
 public:
  /// What was loaded, and what components packed for themselves when it was bound.
  [[nodiscard]] std::size_t bytes() const noexcept;
  [[nodiscard]] const std::vector<ParameterPlace>& places() const noexcept { return places_; }
  void load(const ParameterSpec& spec, const std::string& full_name, WeightStore& weights, ParameterSet& set);
  /// Hands a set to its component.
  void bind(Module& module, const ParameterSet& set);

 private:
  std::vector<ParameterPlace> places_;
  std::list<Matrix> matrices_;
  std::list<std::vector<float>> values_;
  std::int64_t packed_bytes_ = 0;
};

/// Components whose parameters are loaded already, because an earlier layer shares them.
using SharedParameters = std::set<const Module*>;

/// `prefix`: "model.layers.N.self_attn.". Error where a declared tensor is missing or has another shape.
std::unique_ptr<BoundParameters> bind_parameters(const LayerComponents& components, const std::string& prefix,
                                                 WeightStore& weights, SharedParameters& shared);

}  // namespace attnlab::model
