#include "model/weight_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include <attnlab/error.h>

#include "model/missing_tensor.h"
#include "model/random_weights.h"
#include "parallel/joined_threads.h"
#include "parallel/parallel.h"

namespace attnlab::model {
namespace {

constexpr std::array<std::string_view, 3> kPooled{"mean-pooled", "first of each group", "random values"};

constexpr std::string_view kConvert = "convert the model again";

}  // namespace

// One tensor as it is stored, and how its rows become the rows that were asked for.
struct WeightStore::Stored {
  std::string name;
  std::optional<StoredTensor> tensor;  // of a checkpoint
  const HeldTensor* held = nullptr;    // made by code; neither: from the seed
  ElementType type = ElementType::f32;
  std::int64_t rows = 0;       // that were asked for
  std::int64_t width = 0;      // elements of a row
  std::int64_t head_rows = 0;  // rows of one head; 0: no heads
  std::int64_t stored_heads = 0;
  std::int64_t heads = 0;
  HeadPooling pooling = HeadPooling::mean;
  [[nodiscard]] bool pools() const noexcept { return heads < stored_heads; }
  [[nodiscard]] bool converts() const noexcept { return heads != stored_heads; }
};

WeightStore::WeightStore(Checkpoint checkpoint, const ModelConfig& config, bool allow_nonfinite, std::uint64_t seed)
    : checkpoint_(std::move(checkpoint)), config_(config), allow_nonfinite_(allow_nonfinite), seed_(seed) {}

WeightStore::WeightStore(std::uint64_t seed, const ModelConfig& config) : config_(config), seed_(seed) {}

WeightStore::WeightStore(HeldTensors held, const ModelConfig& config) : held_(std::move(held)), config_(config) {}

bool WeightStore::has(std::string_view name) const {
  if (held_) return held_->by_name.contains(name);
  return is_random() || checkpoint_->find(name).has_value();
}

// As in the file, for messages.
std::string WeightStore::shown(const std::string& name) const {
  return checkpoint_ ? checkpoint_->name_in_file(name) : name;
}

bool WeightStore::is_gguf() const noexcept {
  return checkpoint_ && checkpoint_->is_gguf_file();
}

std::string WeightStore::origin() const {
  if (held_) return held_->model;
  return checkpoint_ ? checkpoint_->folder().string() : std::string();
}

WeightStore::Stored WeightStore::find(const std::string& name, std::span<const std::int64_t> shape,
                                      HeadConversion conversion) {
  const int convert_heads = conversion.heads;
  Stored stored;
  stored.pooling = conversion.pooling;
  stored.name = name;
  stored.rows = shape.front();
  stored.width = std::accumulate(shape.begin() + 1, shape.end(), std::int64_t{1}, std::multiplies<>());
  stored.heads = stored.stored_heads = convert_heads;
  if (convert_heads > 0) stored.head_rows = stored.rows / convert_heads;
  if (is_random()) {
    // What is trained from random weights begins as any tensor of its shape, not as a mean or a copy of others.
    if (convert_heads > 0 && !widens_) stored.stored_heads = config_.kv_heads;
  } else {
    std::string file = origin();
    if (held_) {
      const auto made = held_->by_name.find(name);
      if (made != held_->by_name.end()) stored.held = &made->second;
    } else {
      stored.tensor = checkpoint_->find(name);
    }
    if (!stored.tensor && stored.held == nullptr)
      throw Error(file, fmt::format("tensor \"{}\" is missing", shown(name)),
                  is_gguf()     ? std::string(kConvert)
                  : checkpoint_ ? what_is_there(shown(name), checkpoint_->stored_names())
                                : "");
    if (stored.tensor) {
      file = stored.tensor->file->path().string();
      check_weight_dtype(*stored.tensor);
      const DType dtype = stored.tensor->info->dtype;
      stored.type = dtype == DType::f32    ? ElementType::f32
                    : dtype == DType::bf16 ? ElementType::bf16
                                           : ElementType::f16;
      if (widens_) stored.type = ElementType::f32;
    }
    const std::vector<std::int64_t>& found = stored.held != nullptr ? stored.held->shape : stored.tensor->info->shape;
    bool fits = found.size() == shape.size() && std::equal(found.begin() + 1, found.end(), shape.begin() + 1);
    if (fits && stored.head_rows > 0 && found.front() % stored.head_rows == 0)
      stored.stored_heads = found.front() / stored.head_rows;
    else
      fits = fits && found.front() == shape.front();
    if (!fits || stored.stored_heads < (convert_heads > 0 ? 1 : 0))
      throw Error(file, fmt::format("tensor \"{}\" has shape [{}]", shown(name), fmt::join(found, ", ")),
                  fmt::format("the model needs [{}]", fmt::join(shape, ", ")));
    // An arm may ask for other heads than the checkpoint has; the checkpoint itself has to know its own.
    if (convert_heads > 0 && stored.stored_heads != config_.kv_heads)
      throw Error(
          file,
          fmt::format("tensor \"{}\" holds {} kv heads of {}, but the model's config says num_key_value_heads {}",
                      shown(name), stored.stored_heads, stored.head_rows, config_.kv_heads),
          is_gguf() ? std::string(kConvert)
                    : fmt::format("correct config.json: num_key_value_heads {}", stored.stored_heads));
    used_.insert(name);
  }
  if (stored.converts()) {
    if (stored.heads % stored.stored_heads != 0 && stored.stored_heads % stored.heads != 0)
      throw Error(stored.tensor ? stored.tensor->file->path().string() : origin(),
                  fmt::format("tensor \"{}\" has {} kv heads, which cannot be converted to {}", shown(name),
                              stored.stored_heads, stored.heads),
                  "one of the two numbers must be a multiple of the other");
    const std::string note =
        fmt::format("converted: {} kv heads from {} ({})", stored.heads, stored.stored_heads,
                    stored.pools() ? kPooled[static_cast<std::size_t>(stored.pooling)] : std::string_view("repeated"));
    if (std::find(notes_.begin(), notes_.end(), note) == notes_.end()) notes_.push_back(note);
  }
  return stored;
}

bool WeightStore::holds_different(const std::string& a, const std::string& b) const {
  if (!checkpoint_ || !reads_ || checkpoint_->is_same(a, b)) return false;
  const auto first = checkpoint_->find(a);
  const auto second = checkpoint_->find(b);
  if (!first || !second) return false;
  if (first->info->shape != second->info->shape) return true;
  check_weight_dtype(*first);
  check_weight_dtype(*second);
  constexpr std::int64_t at_once = std::int64_t{1} << 16;
  std::vector<float> of_a(at_once);
  std::vector<float> of_b(at_once);
  for (std::int64_t from = 0; from < first->info->elements(); from += at_once) {
    const auto count = static_cast<std::size_t>(std::min(at_once, first->info->elements() - from));
    read_f32(*first, from, std::span(of_a).first(count));
    read_f32(*second, from, std::span(of_b).first(count));
    if (!std::equal(of_a.begin(), of_a.begin() + static_cast<std::ptrdiff_t>(count), of_b.begin())) return true;
  }
  return false;
}

void WeightStore::read_rows(const Stored& stored, std::int64_t first, std::span<float> rows) const {
  const std::int64_t element = first * stored.width;
  if (stored.tensor) {
    if (!allow_nonfinite_) {
      if (const auto bad = first_nonfinite(*stored.tensor, element, static_cast<std::int64_t>(rows.size())))
        throw Error(stored.tensor->file->path().string(),
                    fmt::format("tensor \"{}\" holds NaN or Inf at element {}", shown(stored.name),
                                element_in_file(*stored.tensor->info, *bad)),
                    "weights must be finite, or the experiment must say `allow_nonfinite: true`");
    }
    read_f32(*stored.tensor, element, rows);
  } else if (stored.held != nullptr) {
    std::copy_n(stored.held->values.begin() + element, rows.size(), rows.begin());
  } else {
    draw_rows(stored, first, rows);
  }
}

void WeightStore::draw_rows(const Stored& stored, std::int64_t first, std::span<float> rows) const {
  if (stored.name.find("norm") != std::string::npos) {  // begins by changing nothing
    std::ranges::fill(rows, stored.name.ends_with(".bias") ? 0.0F : 1.0F);
    return;
  }
  const bool is_of_attention = stored.name.find(".self_attn.") != std::string::npos;
  const double range = is_of_attention ? config_.attention_initializer_range.value_or(config_.initializer_range)
                                       : config_.initializer_range;
  random_values(seed_, stored.name, first * stored.width, rows, static_cast<float>(range));
}

void WeightStore::read_converted_row(const Stored& stored, std::int64_t row, std::span<float> out) const {
  const std::int64_t head = row / stored.head_rows;
  const std::int64_t in_head = row % stored.head_rows;
  if (!stored.pools()) {
    const std::int64_t from = head * stored.stored_heads / stored.heads;
    return read_rows(stored, from * stored.head_rows + in_head, out);
  }
  // Ainslie et al. 2023: the mean over the group, its first head, or no part of what was trained.
  if (stored.pooling == HeadPooling::random) return draw_rows(stored, row, out);
  const std::int64_t group = stored.stored_heads / stored.heads;
  if (stored.pooling == HeadPooling::first) return read_rows(stored, head * group * stored.head_rows + in_head, out);
  std::vector<double> sum(out.size());
  for (std::int64_t member = 0; member < group; ++member) {
    read_rows(stored, (head * group + member) * stored.head_rows + in_head, out);
    for (std::size_t i = 0; i < out.size(); ++i) sum[i] += out[i];
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(sum[i] / static_cast<double>(group));
}

void WeightStore::take(std::size_t bytes) {
  taken_ += bytes;
  if (limit_ > 0 && taken_ > limit_)
    throw Error(origin(),
                fmt::format("the weights need more than the {:.1f} GiB of memory that there are",
                            static_cast<double>(limit_) / (1 << 30)),
                "use a smaller model");
}

// What is packed is a function of this, and of the seed where something is drawn.
std::string WeightStore::note_held(const Stored& stored, std::span<const std::int64_t> shape, HeadConversion conversion,
                                   ElementType type, bool is_table, std::size_t bytes) {
  const bool is_drawn = is_random() || (stored.pools() && stored.pooling == HeadPooling::random);
  const std::string source = is_drawn ? fmt::format("{} drawn with {} and {}", origin(), config_.initializer_range,
                                                    config_.attention_initializer_range.value_or(-1))
                                      : origin();
  asked_.push_back(
      {.name = stored.name,
       .shape = {shape.begin(), shape.end()},
       .conversion = conversion,
       .is_table = is_table,
       .bytes = bytes,
       .content = fmt::format("{} {} {} of {} {} x {}, {} heads of {} from {} ({})", is_table ? "table" : "matrix",
                              element_name(type), stored.name, source, stored.rows, stored.width, stored.heads,
                              stored.head_rows, stored.stored_heads, static_cast<int>(stored.pooling)),
       .is_drawn = is_drawn});
  return asked_.back().key(seed_);
}

void WeightStore::for_parts(int count, const std::function<void(int)>& task) const {
  if (packs_for_ != nullptr) return joined_for(count, task);
  parallel_for(count, kLongWork, [&](int index, WorkerSlot) { task(index); });
}

void WeightStore::pack_for_forks(const HeldWeight& weight, SharedWeights& to) {
  const struct Packing {
    Packing(SharedWeights*& place, SharedWeights& to) : place_(place) { place_ = &to; }
    ~Packing() { place_ = nullptr; }
    SharedWeights*& place_;
  } packing(packs_for_, to);
  const std::string key = weight.key(seed_);
  if (weight.is_table) {
    ElementType type{};
    to.add(key, table(weight.name, weight.shape, type));
  } else {
    to.add(key, matrix(weight.name, weight.shape, weight.conversion));
  }
}

Matrix WeightStore::matrix(const std::string& name, std::span<const std::int64_t> shape, HeadConversion conversion) {
  ATTNLAB_CHECK(shape.size() == 2, "a matrix has two axes");
  const Stored stored = find(name, shape, conversion);
  const bool is_narrow = stored.tensor && stored.type != ElementType::f32 && !stored.converts();
  const ElementType type = held_as_.value_or(is_narrow ? stored.type : ElementType::f32);
  const bool narrow = is_narrow && type == stored.type;  // the bits are what is kept
  const std::size_t bytes = packed_bytes(stored.rows, stored.width, type);
  take(bytes);
  const std::string key = note_held(stored, shape, conversion, type, false, bytes);
  for (const SharedWeights* part : shared_)
    if (const Matrix* same = part->matrix(key)) {
      Matrix taken = same->shared();
      taken.set_arithmetic(arithmetic_);
      return taken;
    }
  Matrix packed(stored.rows, stored.width, type, packs_for_ != nullptr ? packs_for_->room() : room_);
  packed.set_arithmetic(arithmetic_);
  if (!reads_) return packed;  // its pages are never touched, so they cost nothing
  const int blocks = static_cast<int>((stored.rows + kPanelOutputs - 1) / kPanelOutputs);
  for_parts(blocks, [&](int block) {
    const std::int64_t first = block * kPanelOutputs;
    const std::int64_t count = std::min(kPanelOutputs, stored.rows - first);
    std::vector<float> rows(static_cast<std::size_t>(count * stored.width));
    if (stored.converts()) {
      for (std::int64_t row = 0; row < count; ++row)
        read_converted_row(stored, first + row, std::span(rows).subspan(row * stored.width, stored.width));
      packed.pack(first, rows);
    } else if (narrow) {
      read_rows(stored, first, rows);  // for the check
      std::vector<std::uint16_t> bits(rows.size());
      read_bits16(*stored.tensor, first * stored.width, bits);
      packed.pack(first, bits);
    } else {
      read_rows(stored, first, rows);
      packed.pack(first, rows);
    }
  });
  if (stored.tensor) stored.tensor->release();
  return packed;
}

std::vector<float> WeightStore::values(const std::string& name, std::span<const std::int64_t> shape,
                                       HeadConversion conversion) {
  const Stored stored = find(name, shape, conversion);
  std::vector<float> values(static_cast<std::size_t>(stored.rows * stored.width));
  if (!reads_) return values;
  if (!stored.converts()) {
    read_rows(stored, 0, values);
  } else {
    for (std::int64_t row = 0; row < stored.rows; ++row)
      read_converted_row(stored, row, std::span(values).subspan(row * stored.width, stored.width));
  }
  if (stored.tensor) stored.tensor->release();
  return values;
}

Pages WeightStore::table(const std::string& name, std::span<const std::int64_t> shape, ElementType& type) {
  const Stored stored = find(name, shape, {});
  type = stored.type;
  const std::size_t row_bytes = static_cast<std::size_t>(stored.width) * element_bytes(type);
  const std::size_t bytes = row_bytes * static_cast<std::size_t>(stored.rows);
  take(bytes);
  const std::string key = note_held(stored, shape, {}, type, true, bytes);
  for (const SharedWeights* part : shared_)
    if (const Pages* same = part->table(key)) return same->shared();
  Pages table = packs_for_ != nullptr ? packs_for_->room().take(bytes) : Pages(bytes);
  if (!reads_) return table;
  constexpr std::int64_t rows_of_task = 128;
  for_parts(static_cast<int>((stored.rows + rows_of_task - 1) / rows_of_task), [&](int task) {
    const std::int64_t first = task * rows_of_task;
    const std::int64_t count = std::min(rows_of_task, stored.rows - first);
    std::vector<float> rows(static_cast<std::size_t>(count * stored.width));
    read_rows(stored, first, rows);
    std::byte* to = table.data() + first * row_bytes;
    if (type == ElementType::f32)
      std::memcpy(to, rows.data(), rows.size() * sizeof(float));
    else
      read_bits16(*stored.tensor, first * stored.width, {reinterpret_cast<std::uint16_t*>(to), rows.size()});
  });
  if (stored.tensor) stored.tensor->release();
  return table;
}

void WeightStore::check_all_used(std::span<const std::string> ignored_prefixes) const {
  if (!checkpoint_) return;
  std::vector<Problem> problems;
  for (const std::string& name : checkpoint_->names()) {
    if (used_.contains(name) || name.ends_with(".rotary_emb.inv_freq")) continue;
    if (std::any_of(used_.begin(), used_.end(),
                    [&](const std::string& used) { return checkpoint_->is_same(used, name); }))
      continue;
    if (std::any_of(ignored_prefixes.begin(), ignored_prefixes.end(),
                    [&](const std::string& prefix) { return name.starts_with(prefix); }))
      continue;
    problems.push_back({checkpoint_->find(name)->file->path().string(),
                        fmt::format("tensor \"{}\" belongs to no part of this model", shown(name)),
                        is_gguf() ? std::string(kConvert) : "remove it, or check config.json"});
  }
  if (!problems.empty()) throw Error(std::move(problems));
}

}  // namespace attnlab::model
