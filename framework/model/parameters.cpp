#include "model/parameters.h"

#include <algorithm>

#include <attnlab/random.h>

#include "base/fnv1a.h"
#include "model/decoder.h"
#include "ops/packed_matrix.h"

namespace attnlab::model {
namespace {

// What is no normal number at the start of a model without a checkpoint.
void start(const ParameterSpec& spec, const std::string& full_name, std::uint64_t seed, std::span<float> values) {
  SplitMix64 random(seed, fnv1a(full_name));
  if (spec.drawn != nullptr)
    for (float& value : values) value = static_cast<float>(spec.drawn(random.uniform()));
  else if (spec.init != Init::normal)
    std::ranges::fill(values, spec.init == Init::ones ? 1.0F : 0.0F);
}

}  // namespace

std::size_t BoundParameters::bytes() const noexcept {
  auto sum = static_cast<std::size_t>(packed_bytes_);
  for (const Matrix& matrix : matrices_) sum += matrix.bytes();
  for (const std::vector<float>& values : values_) sum += values.size() * sizeof(float);
  return sum;
}

void BoundParameters::load(const ParameterSpec& spec, const std::string& full_name, WeightStore& weights,
                           ParameterSet& set) {
  const HeadConversion conversion{spec.convert_heads, spec.pooling};
  if (spec.form == ParameterForm::matrix) {
    matrices_.push_back(weights.matrix(full_name, spec.shape, conversion));
    set.add(spec.name, matrices_.back());
    places_.push_back({full_name, spec.shape, &matrices_.back()});
  } else {
    values_.push_back(weights.values(full_name, spec.shape, conversion));
    if (weights.is_random()) start(spec, full_name, weights.seed(), values_.back());
    set.add(spec.name, values_.back());
    places_.push_back({.name = full_name, .shape = spec.shape, .values = values_.back()});
  }
}

void BoundParameters::bind(Module& module, const ParameterSet& set) {
  const std::int64_t before = live_packed_bytes();
  module.bind(set);
  packed_bytes_ += live_packed_bytes() - before;
}

std::unique_ptr<BoundParameters> bind_parameters(const LayerComponents& components, const std::string& prefix,
                                                 WeightStore& weights, SharedParameters& shared) {
  auto bound = std::make_unique<BoundParameters>();
  for (Module* module :
       {static_cast<Module*>(components.attention.get()), static_cast<Module*>(components.position.get()),
        static_cast<Module*>(components.cache.get())}) {
    if (!shared.insert(module).second) continue;
    ParameterSet set;
    for (const ParameterSpec& spec : module->parameters())
      bound->load(spec, spec.scope == ParameterScope::layer ? prefix + spec.name : spec.name, weights, set);
    bound->bind(*module, set);
  }
  return bound;
}

}  // namespace attnlab::model
