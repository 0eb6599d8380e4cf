// Out-of-line parts of the SDK: destructors (the key functions, so that type information lives in one library), the
// scratch allocator, parameter sets.
#include <algorithm>
#include <cstdlib>
#include <new>
#include <numeric>

#include <attnlab/error.h>
#include <attnlab/plugin.h>

namespace attnlab {

Module::~Module() = default;
std::vector<ParameterSpec> Module::parameters() const {
  return {};
}
void Module::bind(const ParameterSet&) {}
void Module::refresh() {}

Gradients::~Gradients() = default;

namespace {
[[noreturn]] void refuse_backward(const char* what) {
  throw Error("", std::string(what) + " says that it writes its own derivative, and does not",
              "write `backward` beside `derivative`");
}
}  // namespace

Rotation::~Rotation() = default;
// A rotation is linear in its rows: the rows of the identity, rotated, are its matrix, whatever else depends on the
// position.
void Rotation::rotate_back(const RotateArgs& args, TensorView<float, 3> gradients) const {
  const std::int64_t width = gradients.extent(2);
  std::vector<float> identity(static_cast<std::size_t>(width * width));
  std::vector<float> before(static_cast<std::size_t>(width));
  for (std::size_t row = 0; row < args.positions.size(); ++row) {
    std::ranges::fill(identity, 0.0F);
    for (std::int64_t i = 0; i < width; ++i) identity[i * width + i] = 1;
    rotate({args.positions.subspan(row, 1), args.length, args.side}, {identity.data(), {1, width, width}});
    for (std::int64_t head = 0; head < gradients.extent(1); ++head) {
      float* of = &gradients(row, head, 0);
      for (std::int64_t i = 0; i < width; ++i)
        before[i] = std::inner_product(of, of + width, identity.data() + i * width, 0.0F);
      std::ranges::copy(before, of);
    }
  }
}
TurnedPairs Rotation::pairs() const noexcept {
  return {};
}
void PositionScheme::add_to_embeddings(std::span<const Position>, TensorView<float, 2>) const {}
void PositionScheme::embeddings_backward(std::span<const Position>, TensorView<const float, 2>, Gradients&) const {}

namespace {
// Calls turn(view) for every view of the columns that the shape names.
template <class Turn>
void for_each_rotated(const KvShape& shape, TensorView<float, 3> rows, const Turn& turn) {
  const int width = shape.rotation_width();
  if (shape.rotated_first == 0 && shape.rotated_repeats * width == shape.key_dim && rows.stride(1) == shape.key_dim)
    return turn(TensorView<float, 3>{
        rows.data(), {rows.extent(0), rows.extent(1) * shape.rotated_repeats, width}, {rows.stride(0), width, 1}});
  for (int repeat = 0; repeat < shape.rotated_repeats; ++repeat)
    turn(TensorView<float, 3>{rows.data() + shape.rotated_first + repeat * width,
                              {rows.extent(0), rows.extent(1), width},
                              {rows.stride(0), rows.stride(1), 1}});
}
}  // namespace

void rotate_columns(const Rotation& rotation, const RotateArgs& args, const KvShape& shape, TensorView<float, 3> rows) {
  for_each_rotated(shape, rows, [&](TensorView<float, 3> columns) { rotation.rotate(args, columns); });
}
void rotate_columns_back(const Rotation& rotation, const RotateArgs& args, const KvShape& shape,
                         TensorView<float, 3> gradients) {
  for_each_rotated(shape, gradients, [&](TensorView<float, 3> columns) { rotation.rotate_back(args, columns); });
}

ScoreHook::~ScoreHook() = default;
void ScoreHook::require_derivative() const {
  if (derivative() == Derivative::none)
    throw Error("", "its change of scores has no derivative, so it cannot be trained",
                "declare `derivative`, and write `backward` where it is not additive");
}
void ScoreHook::backward(const ScoreTile&, const ScoreGradients&) const {
  refuse_backward("a change of scores");
}
MaskRule::~MaskRule() = default;
Weighting::~Weighting() = default;
void Weighting::backward(const ScoreTile&, std::span<const int>, TensorView<float, 3>) const {
  refuse_backward("a weighting of scores");
}
RowWeighting::~RowWeighting() = default;
double RowWeighting::multiply_adds(int /*heads*/) const noexcept {
  return 0;
}
bool RowWeighting::takes_all_heads() const noexcept {
  return false;
}
void RowWeighting::mix(QueryScores&) const noexcept {}
void RowWeighting::mix_backward(const QueryScores&, TensorView<float, 3>, Gradients&) const {
  refuse_backward("a mixture of scores");
}
void RowWeighting::weigh_backward(const QueryScores&, TensorView<float, 3>, Gradients&) const {
  refuse_backward("a weighting of rows of scores");
}
RowBias::~RowBias() = default;
double RowBias::multiply_adds() const noexcept {
  return 0;
}
void RowBias::require_derivative() const {
  if (derivative() != Derivative::own)
    throw Error("", "its bias of rows of scores has no derivative, so it cannot be trained",
                "declare `derivative` and write `backward` for it");
}
void RowBias::backward(const QueryScores&, TensorView<float, 3>, TensorView<float, 3>, Gradients&) const {
  refuse_backward("a bias of rows of scores");
}
MassSink::~MassSink() = default;
QuerySink::~QuerySink() = default;
TileSelector::~TileSelector() = default;
bool TileSelector::selects(const ChunkView& chunk, int sequence) const noexcept {
  return chunk.tokens_of(sequence) == 1 && chunk.phases[sequence] == Phase::decode;
}
KvSource::~KvSource() = default;
KvRows::~KvRows() = default;
RowCodec::~RowCodec() = default;
ChannelDecoder::~ChannelDecoder() = default;
GroupCodec::~GroupCodec() = default;
Storage::~Storage() = default;

void read_tile(const KvTile& tile, TensorView<float, 2> keys, TensorView<float, 2> values) {
  ATTNLAB_CHECK(tile.key_codes.empty() && tile.value_codes.empty(), "a tile of codes is not read");
  const std::int64_t stride = tile.keys.stride(1);
  for (std::int64_t row = 0; keys.data() != nullptr && row < keys.extent(0); ++row) {
    const float* from = &tile.keys(row, 0);
    float* to = keys.row(row).data();
    for (std::int64_t channel = 0; channel < keys.extent(1); ++channel) to[channel] = from[channel * stride];
  }
  for (std::int64_t row = 0; values.data() != nullptr && row < values.extent(0); ++row)
    std::copy_n(&tile.values(row, 0), values.extent(1), values.row(row).data());
}

LayerCache::~LayerCache() = default;
void LayerCache::end_chunk(const ChunkView&) {}
int LayerCache::row_limit(int, int length) const noexcept {
  return length;
}
namespace {
[[noreturn]] void refuse_state() {
  throw Error("", "this cache does not say what its state is", "write save and restore beside its clear");
}
}  // namespace
void LayerCache::save(int, StateWriter&) const {
  refuse_state();
}
void LayerCache::restore(int, StateReader&) {
  refuse_state();
}
void LayerCache::truncate(int, Position) {
  throw Error("", "this cache cannot take tokens back", "clear the sequence and feed it again");
}
void LayerCache::fork(int, int) {
  throw Error("", "this cache cannot continue one sequence from another", "feed the prefix to each sequence");
}

void StateWriter::put_bytes(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}
void StateReader::get_bytes(std::span<std::byte> to) {
  if (to.size() > bytes_.size()) throw Error("", "the state ends too early", "restore a cache that was made alike");
  std::copy_n(bytes_.begin(), to.size(), to.begin());
  bytes_ = bytes_.subspan(to.size());
}
std::size_t StateReader::count(std::size_t element_bytes) {
  const auto count = get<std::size_t>();
  if (count > bytes_.size() / element_bytes)
    throw Error("", "the state ends too early", "restore a cache that was made alike");
  return count;
}

void Problems::add(std::string option, std::string what) {
  entries_.push_back({std::move(option), std::move(what)});
}

const Matrix& ParameterSet::matrix(std::string_view name) const {
  const auto found = matrices_.find(name);
  ATTNLAB_CHECK(found != matrices_.end(), "a matrix that was not declared");
  return *found->second;
}

std::span<const float> ParameterSet::values(std::string_view name) const {
  const auto found = values_.find(name);
  ATTNLAB_CHECK(found != values_.end(), "values that were not declared");
  return found->second;
}

void ParameterSet::add(std::string name, const Matrix& matrix) {
  matrices_[std::move(name)] = &matrix;
}
void ParameterSet::add(std::string name, std::span<const float> values) {
  values_[std::move(name)] = values;
}

namespace {
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kFirstBlock = std::size_t{1} << 16;  // floats
}  // namespace

struct Scratch::Block {
  struct Free {
    void operator()(float* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<float, Free> memory;
  std::size_t size;  // floats
};

Scratch::Scratch() = default;
Scratch::~Scratch() = default;

std::span<float> Scratch::floats(std::int64_t count) {
  constexpr std::size_t step = kAlignment / sizeof(float);
  const std::size_t room = (static_cast<std::size_t>(count) + step - 1) / step * step;
  while (block_ < blocks_.size() && used_ + room > blocks_[block_].size) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const std::size_t grown = blocks_.empty() ? kFirstBlock : blocks_.back().size * 2;
    const std::size_t size = std::max(grown, room);
    auto* memory = static_cast<float*>(std::aligned_alloc(kAlignment, size * sizeof(float)));
    if (memory == nullptr) throw std::bad_alloc();
    blocks_.push_back({std::unique_ptr<float, Block::Free>(memory), size});
    used_ = 0;
  }
  float* start = blocks_[block_].memory.get() + used_;
  used_ += room;
  return {start, static_cast<std::size_t>(count)};
}

std::vector<Scratch::Part> Scratch::parts() const {
  std::vector<Part> parts;
  for (std::size_t block = 0; block < blocks_.size(); ++block)
    parts.push_back({blocks_[block].memory.get(), blocks_[block].size,
                     block < block_    ? blocks_[block].size
                     : block == block_ ? used_
                                       : 0});
  return parts;
}

Scratch::Scope::Scope(Scratch& scratch) noexcept : scratch_(scratch), block_(scratch.block_), used_(scratch.used_) {}

Scratch::Scope::~Scope() {
  scratch_.block_ = block_;
  scratch_.used_ = used_;
}

}  // namespace attnlab
