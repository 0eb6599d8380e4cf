// Weights for models that exist only as a YAML: speed needs numbers of the right size, not a trained model. Every value
// is a function of seed, tensor name and element index alone, so the same model comes out of every thread count, every
// split of the work and every instruction set, bit for bit.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <attnlab/api.h>

namespace attnlab::model {

/// Fills `out` with elements [first_element, first_element + out.size()) of the tensor: independent, mean 0 and the
/// given standard deviation (finite, not negative). The shape is that of a sum of eight uniforms: kurtosis 2.85 where
/// the normal has 3, and no value beyond 4.9 standard deviations.
ATTNLAB_API void random_values(std::uint64_t seed, std::string_view tensor_name, std::int64_t first_element,
                               std::span<float> out, float standard_deviation);

}  // namespace attnlab::model
