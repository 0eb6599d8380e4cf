// What all plugin kinds share: parameters with checkpoint names, and the layer that a component is created for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

namespace attnlab {

/// A weight matrix, packed for the product kernels. Opaque here; see ops.h for what can be done with it.
class Matrix;

/// Where a parameter's name begins: `model.layers.N.self_attn.` or nothing, so that the name is complete.
enum class ParameterScope : std::uint8_t { layer, model };

/// How a parameter is used: as the matrix of a product, or as plain numbers.
enum class ParameterForm : std::uint8_t { matrix, values };

/// What becomes of the kv heads of a checkpoint that has more of them: the mean of a group, its first, or random values
/// as of a model without a checkpoint (Ainslie et al. 2023).
enum class HeadPooling : std::uint8_t { mean, first, random };

/// Values from the seed, where there is no checkpoint: normal with the model's initializer_range, or a constant; see
/// ParameterSpec::drawn for others.
enum class Init : std::uint8_t { normal, zeros, ones };

struct ParameterSpec {
  std::string name;                 // "q_proj.weight"
  std::vector<std::int64_t> shape;  // [out, in] of a matrix
  ParameterForm form = ParameterForm::matrix;
  ParameterScope scope = ParameterScope::layer;
  int convert_heads = 0;  // > 0: the rows are this many kv heads of equal width; a checkpoint with another number of
                          // heads is converted: repeated where it has fewer, by `pooling` where it has more
  HeadPooling pooling = HeadPooling::mean;
  Init init = Init::normal;
  double (*drawn)(double u) = nullptr;  // of values, in place of init: each is drawn(u), u uniform in 0 <= u < 1
};

/// A component's parameters, by the names that it declared. Borrowed: lives as long as the model.
class ATTNLAB_API ParameterSet {
 public:
  [[nodiscard]] const Matrix& matrix(std::string_view name) const;
  [[nodiscard]] std::span<const float> values(std::string_view name) const;

  void add(std::string name, const Matrix& matrix);
  void add(std::string name, std::span<const float> values);

 private:
  std::map<std::string, const Matrix*, std::less<>> matrices_;
  std::map<std::string, std::span<const float>, std::less<>> values_;
};

/// The layer that a component is created for; from the model's config.
struct CreateContext {
  int layer = 0;
  int layers = 1;
  int hidden_dim = 0;
  int heads = 0;
  int kv_heads = 0;  // of the checkpoint; a variant's option may differ
  int head_dim = 0;
  int max_positions = 0;  // trained length
  float rms_norm_eps = 1e-6F;
  std::uint64_t seed = 1;
};

class ATTNLAB_API Module {
 public:
  virtual ~Module();
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  virtual std::vector<ParameterSpec> parameters() const;
  /// Once, after loading. The set outlives the module.
  virtual void bind(const ParameterSet& parameters);
  /// After the numbers of the set have changed (a step of training): what the module derived from them in `bind`
  /// (tables, matrices that it packed) is derived anew. Nothing by default.
  virtual void refresh();
};

}  // namespace attnlab
