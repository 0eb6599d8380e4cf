#include "assembly/replay.h"

#include <fmt/format.h>

#include <numeric>

#include <attnlab/error.h>

#include "assembly/arm_model.h"
#include "model/checkpoints/checkpoint.h"
#include "model/checkpoints/safetensors.h"
#include "registry/composition.h"
#include "steps/direct_steps.h"
#include "steps/given_attention.h"

namespace attnlab::experiment {
namespace {

struct Stream {
  std::vector<float> values;
  std::vector<std::int64_t> shape;
  [[nodiscard]] TensorView<float, 3> view() { return {values.data(), {shape[0], shape[1], shape[2]}}; }
};

Stream read_stream(const model::SafetensorsFile& file, const std::string& name) {
  const model::TensorInfo* info = file.find(name);
  if (info == nullptr) throw Error(file.path().string(), fmt::format("tensor \"{}\" is missing", name));
  const model::StoredTensor tensor{&file.file(), info};
  model::check_weight_dtype(tensor);
  if (info->shape.size() != 3 || info->elements() == 0)
    throw Error(file.path().string(), fmt::format("tensor \"{}\" must have three axes, none of them empty", name));
  Stream stream{std::vector<float>(static_cast<std::size_t>(info->elements())), info->shape};
  model::read_f32(tensor, stream.values);
  return stream;
}

// The choice of one component for a layer without a model: options are those that were written, else the defaults.
struct Chosen {
  LayeredChoice choice;
  const Descriptor* descriptor;
  Traits traits;
};

Chosen choose(Kind kind, const std::string& text, const char* flag, const Registry& registry) {
  LayeredChoice choice = parse_layered(kind, text, flag, lookup_in(registry));
  if (!choice.overrides.empty())
    throw Error(flag, "recorded streams are of one layer", "name one component, without `layers`");
  const Descriptor& descriptor = registry.get(kind, choice.base.id, flag);
  const Traits traits = registry.traits(descriptor, choice.base.options);
  return {std::move(choice), &descriptor, traits};
}

class Layer {
 public:
  Layer(const std::filesystem::path& streams, const Registry& registry, const std::string& cache_text,
        const std::string& position_text);

  void feed(int first, int count, Phase phase, int prompt_length, TensorView<float, 3> out);
  void mark_kept(std::uint8_t* kept) const;          // [G, T]
  void read_rows(float* keys, float* values) const;  // [T, G, d], where there are any

  [[nodiscard]] int tokens() const { return static_cast<int>(q_.shape[0]); }
  [[nodiscard]] int heads() const { return static_cast<int>(q_.shape[1]); }
  [[nodiscard]] int kv_heads() const { return static_cast<int>(k_.shape[1]); }
  [[nodiscard]] int head_dim() const { return static_cast<int>(q_.shape[2]); }

 private:
  template <class Visit>
  void for_tiles(const Visit& visit) const;

  Stream q_, k_, v_;
  std::unique_ptr<PositionScheme> position_;
  std::unique_ptr<CachePolicy> policy_;
  std::unique_ptr<LayerCache> cache_;
  std::unique_ptr<GivenAttention> given_;
  Scratch scratch_;
  DirectSteps steps_{scratch_};
};

Layer::Layer(const std::filesystem::path& streams, const Registry& registry, const std::string& cache_text,
             const std::string& position_text) {
  const model::SafetensorsFile file = model::SafetensorsFile::open(streams);
  q_ = read_stream(file, "q");
  k_ = read_stream(file, "k");
  v_ = read_stream(file, "v");
  if (k_.shape != v_.shape || k_.shape[0] != q_.shape[0] || k_.shape[2] != q_.shape[2] ||
      q_.shape[1] % k_.shape[1] != 0)
    throw Error(streams.string(), "q, k and v do not fit together",
                "q is [T, H, d], k and v are [T, G, d], and H is a multiple of G");

  const Chosen cache = choose(Kind::cache, cache_text, "--cache", registry);
  const Chosen position =
      choose(Kind::position, position_text.empty() ? kNoPosition : position_text, "--position", registry);
  KeyForm form = KeyForm::rotated;
  const Part parts[] = {
      {Kind::attention, "the recorded streams", {.provides = {Feature::kv_rows, Feature::attention_mass}}},
      {Kind::position, position.descriptor->id, position.traits, position.choice.base.options},
      {Kind::cache, cache.descriptor->id, with_key_form(cache.choice.base, position.traits, cache.traits, form),
       cache.choice.base.options},
      storage_part(cache.choice.base.storage.value_or(StorageChoice{}), registry, form)};
  std::vector<Problem> problems;
  for (const std::string& conflict : conflicts(parts, registry)) problems.push_back({"", conflict, ""});
  if (!problems.empty()) throw Error(std::move(problems));

  const CreateContext context{.hidden_dim = heads() * head_dim(),
                              .heads = heads(),
                              .kv_heads = kv_heads(),
                              .head_dim = head_dim(),
                              .max_positions = tokens()};
  position_ = registry.position(position.descriptor->id, position.choice.base.options, context);
  if (!position_->parameters().empty())
    throw Error("--position", fmt::format("position \"{}\" has weights, which recorded streams do not bring",
                                          position.descriptor->id));
  policy_ = registry.cache(cache.descriptor->id, cache.choice.base.options, context);
  const auto storage =
      make_storage(cache.choice.base.storage.value_or(StorageChoice{}), registry, context, {}, {}, "--cache");
  LayerCacheContext layer{.capacities = {tokens()},
                          .heads = heads(),
                          .shape = {.kv_heads = kv_heads(), .key_dim = head_dim(), .value_dim = head_dim()},
                          .key_form = form,
                          .rotation = position_->rotation()};
  layer.row_bytes = storage->row_bytes(layer.shape);
  layer.list_bytes = [storage, shape = layer.shape](int rows) { return storage->list_bytes(shape, rows); };
  layer.make_rows = [storage, shape = layer.shape, count = tokens()] { return storage->make_rows(shape, 1, count); };
  cache_ = policy_->create(layer);
  given_ = std::make_unique<GivenAttention>(layer.shape, heads());
}

void Layer::feed(int first, int count, Phase phase, int prompt_length, TensorView<float, 3> out) {
  const std::int32_t offsets[] = {0, count};
  std::vector<Position> positions(count);
  std::iota(positions.begin(), positions.end(), first);
  const Position length = std::max(first + count, prompt_length);
  const ChunkView chunk{offsets, positions, {&phase, 1}, {&length, 1}};
  given_->give(q_.view().slice(first, count), k_.view().slice(first, count), v_.view().slice(first, count));
  run_layer(steps_, *given_, {.chunk = chunk, .cache = *cache_, .position = *position_}, {},
            {out.data(), {count, std::int64_t{heads()} * head_dim()}});
}

// visit(kv head, tile)
template <class Visit>
void Layer::for_tiles(const Visit& visit) const {
  for (int head = 0; head < kv_heads(); ++head)
    for_each_tile(*cache_, 0, head, [&](const KvTile& tile) {
      for (const Position position : tile.positions)
        if (position < 0 || position >= tokens())
          throw Error("--cache", fmt::format("it has a row at position {} of {} tokens", position, tokens()));
      visit(head, tile);
      return true;
    });
}

void Layer::mark_kept(std::uint8_t* kept) const {
  for_tiles([&](int head, const KvTile& tile) {
    for (const Position position : tile.positions) kept[static_cast<std::int64_t>(head) * tokens() + position] = 1;
  });
}

void Layer::read_rows(float* keys, float* values) const {
  for_tiles([&](int head, const KvTile& whole) {
    KvTile tile = whole;
    for (int row = 0; row < whole.rows(); ++row) {
      const std::int64_t at = (std::int64_t{whole.positions[row]} * kv_heads() + head) * head_dim();
      tile.keys = whole.keys.slice(row, 1);
      tile.values = whole.values.slice(row, 1);
      read_tile(tile, {keys + at, {1, head_dim()}}, {values + at, {1, head_dim()}});
    }
  });
}

}  // namespace

Replayed replay(const std::filesystem::path& streams, const Registry& registry, const std::string& cache,
                const std::string& position, int prefill) {
  Layer layer(streams, registry, cache, position);
  const int tokens = layer.tokens();
  if (prefill > tokens)
    throw Error("--prefill", fmt::format("{} is more than the {} tokens of {}", prefill, tokens, streams.string()));
  Replayed result;
  result.out_shape = {tokens, layer.heads(), layer.head_dim()};
  result.out.resize(static_cast<std::size_t>(tokens) * layer.heads() * layer.head_dim());
  result.kept_shape = {tokens - prefill + 1, layer.kv_heads(), tokens};
  const std::int64_t kept_row = static_cast<std::int64_t>(layer.kv_heads()) * tokens;
  result.kept.resize(static_cast<std::size_t>(kept_row * (tokens - prefill + 1)));

  const TensorView<float, 3> out(result.out.data(), {tokens, layer.heads(), layer.head_dim()});
  layer.feed(0, prefill, Phase::last_prefill, prefill, out.slice(0, prefill));
  layer.mark_kept(result.kept.data());
  for (int token = prefill; token < tokens; ++token) {
    layer.feed(token, 1, Phase::decode, 0, out.slice(token, 1));
    layer.mark_kept(result.kept.data() + (token - prefill + 1) * kept_row);
  }
  result.rows_shape = {tokens, layer.kv_heads(), layer.head_dim()};
  result.keys.resize(static_cast<std::size_t>(kept_row) * layer.head_dim());
  result.values.resize(result.keys.size());
  layer.read_rows(result.keys.data(), result.values.data());
  return result;
}

}  // namespace attnlab::experiment
