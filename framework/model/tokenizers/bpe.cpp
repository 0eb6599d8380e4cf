// See the header. In every corner (which characters become unknown tokens, in what order) this follows the Hugging
// Face library, since the ids must be those the model was trained with.
#include "model/tokenizers/bpe.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include <attnlab/error.h>

#include "model/checkpoints/strict_json.h"
#include "model/tokenizers/utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

std::uint64_t pair_key(TokenId left, TokenId right) {
  return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
}

// std's heap is a max-heap: "less" means "later". Equal ranks go from left to right.
bool comes_later(const Bpe::Candidate& a, const Bpe::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
}

void refuse_other_kinds(const JsonNode& model) {
  const auto kind = model.find("type");
  // Files from before 2021 do not name the kind; only BPE has merges.
  const bool is_bpe = kind ? kind->string() == "BPE" : model.find("merges").has_value();
  if (!is_bpe) model.refuse_kind(kind ? kind->string() : "not named", {"BPE"});
  model.has_only({"type", "vocab", "merges", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                  "fuse_unk", "byte_fallback", "ignore_merges"});
  if (const auto dropout = model.find("dropout")) {
    const JsonValue value = dropout->value();
    const bool is_zero =
        (value.is(JsonKind::integer) && value.integer() == 0) || (value.is(JsonKind::real) && value.real() == 0);
    if (!is_zero) {
      dropout->refuse("is not supported: the same text must always give the same ids", "set it to null");
    }
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto text = model.find(affix);
    if (text && !text->string().empty()) text->refuse("is not supported", "only files without word affixes are");
  }
}

TokenId parse_id(const JsonNode& vocab, std::string_view token, JsonValue value) {
  const auto refuse = [&](const std::string& what) {
    vocab.refuse("gives " + in_quotes(token) + " the id " + shown(value) + ", which is " + what,
                 "ids are integers from 0");
  };
  if (value.is(JsonKind::large_integer)) refuse("too large");
  if (!value.is(JsonKind::integer)) refuse("no integer");
  if (value.integer() < 0) refuse("negative");
  if (value.integer() >= std::numeric_limits<TokenId>::max()) refuse("too large");
  return static_cast<TokenId>(value.integer());
}

std::pair<std::string_view, std::string_view> parse_merge(JsonValue merge, const JsonNode& merges, int rank) {
  if (merge.is(JsonKind::string)) {
    const std::string_view text = merge.text();
    const std::size_t space = text.find(' ');
    if (space != text.npos && text.find(' ', space + 1) == text.npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (merge.is(JsonKind::list) && merge.size() == 2) {
    auto values = merge.values().begin();
    const JsonValue left = *values;
    const JsonValue right = *++values;
    if (left.is(JsonKind::string) && right.is(JsonKind::string)) return {left.text(), right.text()};
  }
  merges.refuse("has " + shown(merge) + " at " + std::to_string(rank), "a merge is \"left right\" or [left, right]");
}

}  // namespace

Bpe::Bpe(const JsonNode& model) : file_(model.file()) {
  refuse_other_kinds(model);
  read_vocabulary(model.at("vocab"));
  read_merges(model.at("merges"));

  if (model.boolean_or("byte_fallback", false)) {
    byte_tokens_.emplace();
    for (unsigned byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      (*byte_tokens_)[byte] = vocabulary_.id_of(name).value_or(-1);
    }
  }
  if (const auto token = model.find("unk_token")) unk_token_ = token->string();
  fuse_unk_ = model.boolean_or("fuse_unk", false);
  ignore_merges_ = model.boolean_or("ignore_merges", false);
}

void Bpe::read_vocabulary(const JsonNode& vocab) {
  if (!vocab.value().is(JsonKind::object)) vocab.refuse("must be an object");
  vocabulary_ = Vocabulary(vocab.value().size());
  for (const auto& [token, record] : vocab.value().entries()) {
    const TokenId id = parse_id(vocab, token, JsonValue(record));
    if (vocabulary_.add(token, id)) continue;
    vocab.refuse("gives the id " + std::to_string(id) + " to both " + in_quotes(*vocabulary_.token_of(id)) + " and " +
                 in_quotes(token));
  }
}

void Bpe::read_merges(const JsonNode& merges) {
  if (!merges.value().is(JsonKind::list)) merges.refuse("must be a list");
  merges_.reserve(merges.value().size());
  merge_of_pair_ = FlatIndex(merges.value().size());
  int rank = 0;
  std::string joined;
  const auto known = [&](std::string_view token) {
    const auto id = vocabulary_.id_of(token);
    if (!id)
      merges.refuse("needs " + in_quotes(token) + " at " + std::to_string(rank) + ", which is not in model.vocab");
    return *id;
  };
  for (const JsonValue merge : merges.value().values()) {
    // merges.txt begins with a line "#version: 0.2", and some files carry it over.
    if (merge.is(JsonKind::string) && merge.text().starts_with("#version")) continue;
    const auto [left, right] = parse_merge(merge, merges, rank);
    joined.assign(left).append(right);
    const Merge read{pair_key(known(left), known(right)), rank, known(joined)};
    std::uint32_t& number = merge_of_pair_.number(read.pair, has_pair(read.pair));
    if (number == FlatIndex::kNone) {
      number = static_cast<std::uint32_t>(merges_.size());
      merges_.push_back(read);
    } else {
      merges_[number] = read;  // of a pair that comes twice the Hugging Face library takes the later rank
    }
    ++rank;
  }
}

const Bpe::Merge* Bpe::merge_of(TokenId left, TokenId right) const {
  const std::uint64_t pair = pair_key(left, right);
  const std::uint32_t number = merge_of_pair_.find(pair, has_pair(pair));
  return number == FlatIndex::kNone ? nullptr : &merges_[number];
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const {
  if (ignore_merges_) {
    if (const auto id = vocabulary_.id_of(piece)) {
      ids.push_back(*id);
      return;
    }
  }
  split_into_symbols(piece, scratch.symbols);
  merge_symbols(scratch);
  for (const Symbol& symbol : scratch.symbols) {
    if (symbol.id >= 0) ids.push_back(symbol.id);
  }
}

void Bpe::split_into_symbols(std::string_view piece, std::vector<Symbol>& symbols) const {
  symbols.clear();
  const auto add = [&](TokenId id) {
    const int position = static_cast<int>(symbols.size());
    if (position > 0) symbols.back().next = position;
    symbols.push_back({id, position - 1, -1});
  };
  const auto has_all_bytes = [&](std::string_view character) {
    return byte_tokens_ && std::all_of(character.begin(), character.end(), [&](char byte) {
             return (*byte_tokens_)[static_cast<unsigned char>(byte)] >= 0;
           });
  };
  bool unknown = false;  // an unk_token waits: with fuse_unk it stands for all unknown characters in a row
  for (std::size_t at = 0; at < piece.size();) {
    const auto character = piece.substr(at, static_cast<std::size_t>(first_character(piece.substr(at)).bytes));
    at += character.size();
    if (const auto id = vocabulary_.id_of(character)) {
      if (std::exchange(unknown, false)) add(*vocabulary_.id_of(*unk_token_));
      add(*id);
    } else if (has_all_bytes(character)) {
      for (const char byte : character) add((*byte_tokens_)[static_cast<unsigned char>(byte)]);
    } else if (unk_token_) {
      if (!vocabulary_.id_of(*unk_token_)) {
        throw Error(file_, "has no token for " + in_quotes(character) + ", and its unk_token " +
                               in_quotes(*unk_token_) + " is not in model.vocab");
      }
      if (unknown && !fuse_unk_) add(*vocabulary_.id_of(*unk_token_));
      unknown = true;
    }
  }
  if (unknown) add(*vocabulary_.id_of(*unk_token_));
}

void Bpe::propose(Scratch& scratch, int left) const {
  const Symbol& symbol = scratch.symbols[static_cast<std::size_t>(left)];
  if (symbol.next < 0) return;
  const Merge* merge = merge_of(symbol.id, scratch.symbols[static_cast<std::size_t>(symbol.next)].id);
  if (merge == nullptr) return;
  scratch.heap.push_back({merge->rank, left, merge->id});
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), comes_later);
}

void Bpe::merge_symbols(Scratch& scratch) const {
  auto& [symbols, heap] = scratch;
  heap.clear();
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) propose(scratch, static_cast<int>(i));
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), comes_later);
    const Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = symbols[static_cast<std::size_t>(best.position)];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    const Merge* merge = merge_of(left.id, right.id);
    if (merge == nullptr || merge->id != best.id) continue;  // proposed before one of the two changed

    left.id = best.id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = best.position;
    if (left.previous >= 0) propose(scratch, left.previous);
    propose(scratch, best.position);
  }
}

}  // namespace attnlab::model::tokenizer_parts
