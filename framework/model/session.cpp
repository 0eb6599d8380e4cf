// What a session's sequences hold between two passes, and how it is cleared, saved, cut back and continued from. Not
// here: the passes themselves (decoder).
#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include <attnlab/error.h>

#include "model/decoder.h"

namespace attnlab::model {

Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

void Session::clear() {
  for (int sequence = 0; sequence < sequences(); ++sequence) {
    lengths_[sequence] = 0;
    histories_[sequence] = next_history();
    for (auto& cache : caches_) cache->clear(sequence);
    halfway_[sequence] = 0;
  }
  for (std::vector<float>& state : states_) std::fill(state.begin(), state.end(), 0.0F);
}

std::uint64_t Session::next_history() noexcept {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

void Session::check_whole(int sequence) const {
  if (halfway_[sequence] != 0)
    throw Error("", fmt::format("sequence {} was left halfway by a pass that failed", sequence),
                "clear the session, or restore the sequence from a state that was saved before");
}

void Session::save(int sequence, StateWriter& to) const {
  check_whole(sequence);
  to.put(lengths_[sequence]);
  for (const std::vector<float>& state : states_) to.put_all(std::span<const float>(state_of(state, sequence)));
  for (const auto& cache : caches_) {
    StateWriter of_cache;  // its own, so that no cache reads what another wrote
    cache->save(sequence, of_cache);
    to.put_all(of_cache.bytes());
  }
}

void Session::restore(int sequence, StateReader& from) {
  halfway_[sequence] = 1;
  histories_[sequence] = next_history();
  const auto length = from.get<Position>();
  std::vector<float> saved;
  for (std::vector<float>& state : states_) {
    from.get_all(saved);
    if (saved.size() != state_of(state, sequence).size())
      throw Error("", "the state is that of another attention", "restore a session that was made alike");
    std::ranges::copy(saved, state_of(state, sequence).begin());
  }
  std::vector<std::byte> bytes;
  for (std::size_t cache = 0; cache < caches_.size(); ++cache) {
    from.get_all(bytes);
    StateReader of_cache(bytes);
    caches_[cache]->restore(sequence, of_cache);
    if (!of_cache.is_at_end()) {
      const auto layer = std::ranges::find(cache_of_, static_cast<int>(cache)) - cache_of_.begin();
      throw Error("", fmt::format("the cache of layer {} reads less of its state than it wrote", layer),
                  "restore what save writes, in the same order");
    }
  }
  lengths_[sequence] = length;
  halfway_[sequence] = 0;
}

void Session::truncate(int sequence, int length) {
  check_whole(sequence);
  if (length < 0 || length > lengths_[sequence])
    throw Error("",
                fmt::format("sequence {} has {} tokens and cannot be cut to {}", sequence, lengths_[sequence], length),
                fmt::format("give a length of 0 to {}", lengths_[sequence]));
  if (length == lengths_[sequence]) return;
  if (const auto found = std::ranges::find(has_state_, true); found != has_state_.end())
    throw Error("",
                fmt::format("the attention of layer {} keeps a state, from which no token can be taken back",
                            found - has_state_.begin()),
                "restore a state that was saved before these tokens");
  for (const auto& cache : caches_) {
    if (cache->shape().kv_heads > 0) cache->truncate(sequence, length);
    halfway_[sequence] = 1;  // this one has gone back, should the next one refuse
  }
  // Summaries of rows begin as zeros, and are made again from the rows.
  for (std::vector<float>& state : states_) std::ranges::fill(state_of(state, sequence), 0.0F);
  lengths_[sequence] = length;
  halfway_[sequence] = 0;
}

void Session::fork(int from, int to) {
  check_whole(from);
  check_whole(to);
  if (from == to || lengths_[to] > 0)
    throw Error(
        "", fmt::format("sequence {} cannot continue sequence {}: it has {} tokens of its own", to, from, lengths_[to]),
        "name another sequence that is empty");
  histories_[to] = next_history();
  for (const auto& cache : caches_) {
    if (cache->shape().kv_heads > 0) cache->fork(from, to);
    halfway_[to] = 1;
  }
  for (std::vector<float>& state : states_) std::ranges::copy(state_of(state, from), state_of(state, to).begin());
  lengths_[to] = lengths_[from];
  halfway_[to] = 0;
}

std::size_t Session::kv_bytes() const noexcept {
  std::size_t sum = 0;
  for (const auto& cache : caches_) sum += cache->bytes();
  for (const std::vector<float>& state : states_) sum += state.size() * sizeof(float);
  return sum;
}

std::size_t Session::kv_bytes_nominal() const noexcept {
  std::size_t sum = 0;
  for (const auto& cache : caches_) {
    const KvShape shape = cache->shape();
    const std::size_t row = sizeof(float) * (shape.key_dim + (shape.value_is_key_prefix ? 0 : shape.value_dim));
    for (int sequence = 0; sequence < sequences(); ++sequence)
      for (int head = 0; head < shape.kv_heads; ++head) sum += row * cache->rows(sequence, head);
  }
  return sum;
}

std::int64_t Session::live_rows() const noexcept {
  std::int64_t sum = 0;
  for (const auto& cache : caches_)
    for (int sequence = 0; sequence < sequences(); ++sequence)
      for (int head = 0; head < cache->shape().kv_heads; ++head) sum += cache->rows(sequence, head);
  return sum;
}

std::int64_t Session::appended_rows() const noexcept {
  std::int64_t sum = 0;
  for (const auto& cache : caches_)
    for (const Position length : lengths_) sum += static_cast<std::int64_t>(length) * cache->shape().kv_heads;
  return sum;
}

}  // namespace attnlab::model
