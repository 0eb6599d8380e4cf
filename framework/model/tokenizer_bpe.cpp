// See the header. In every corner (which characters become unknown tokens, in what order) this follows the Hugging
// Face library, since the ids must be those the model was trained with.
#include "model/tokenizer_bpe.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include <attnlab/error.h>

#include "model/strict_json.h"
#include "model/tokenizer_utf8.h"

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
    if (!dropout->value().is_number() || dropout->value().get<double>() != 0) {
      dropout->refuse("is not supported: the same text must always give the same ids", "set it to null");
    }
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto text = model.find(affix);
    if (text && !text->string().empty()) text->refuse("is not supported", "only files without word affixes are");
  }
}

TokenId parse_id(const JsonNode& vocab, const std::string& token, const nlohmann::json& value) {
  const auto refuse = [&](const std::string& what) {
    vocab.refuse("gives " + in_quotes(token) + " the id " + shown(value) + ", which is " + what,
                 "ids are integers from 0");
  };
  if (!value.is_number_integer()) refuse("no integer");
  if (!value.is_number_unsigned()) refuse("negative");
  if (value.get<std::uint64_t>() >= static_cast<std::uint64_t>(std::numeric_limits<TokenId>::max())) {
    refuse("too large");
  }
  return value.get<TokenId>();
}

std::pair<std::string, std::string> parse_merge(const nlohmann::json& merge, const JsonNode& merges, std::size_t rank) {
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space != text.npos && text.find(' ', space + 1) == text.npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  merges.refuse("has " + shown(merge) + " at " + std::to_string(rank), "a merge is \"left right\" or [left, right]");
}

}  // namespace

Bpe::Bpe(const JsonNode& model) : file_(model.file()) {
  refuse_other_kinds(model);
  const JsonNode vocab = model.at("vocab");
  if (!vocab.value().is_object()) vocab.refuse("must be an object");
  vocabulary_.reserve(vocab.value().size());
  for (const auto& [token, id] : vocab.value().items()) vocabulary_.emplace(token, parse_id(vocab, token, id));
  read_merges(model.at("merges"));

  if (model.boolean_or("byte_fallback", false)) {
    byte_tokens_.emplace();
    for (unsigned byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      (*byte_tokens_)[byte] = find(name).value_or(-1);
    }
  }
  if (const auto token = model.find("unk_token")) unk_token_ = token->string();
  fuse_unk_ = model.boolean_or("fuse_unk", false);
  ignore_merges_ = model.boolean_or("ignore_merges", false);
}

void Bpe::read_merges(const JsonNode& merges) {
  if (!merges.value().is_array()) merges.refuse("must be a list");
  merges_.reserve(merges.value().size());
  int rank = 0;
  for (const auto& merge : merges.value()) {
    // merges.txt begins with a line "#version: 0.2", and some files carry it over.
    if (merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    const auto [left, right] = parse_merge(merge, merges, static_cast<std::size_t>(rank));
    const auto known = [&](const std::string& token) {
      const auto id = find(token);
      if (!id)
        merges.refuse("needs " + in_quotes(token) + " at " + std::to_string(rank) + ", which is not in model.vocab");
      return *id;
    };
    const std::uint64_t key = pair_key(known(left), known(right));
    merges_.insert_or_assign(key, Merge{rank, known(left + right)});
    ++rank;
  }
}

std::optional<TokenId> Bpe::find(std::string_view token) const {
  const auto found = vocabulary_.find(token);
  if (found == vocabulary_.end()) return std::nullopt;
  return found->second;
}

const Bpe::Merge* Bpe::merge_of(TokenId left, TokenId right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const {
  if (ignore_merges_) {
    if (const auto id = find(piece)) {
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
    if (const auto id = find(character)) {
      if (std::exchange(unknown, false)) add(*find(*unk_token_));
      add(*id);
    } else if (has_all_bytes(character)) {
      for (const char byte : character) add((*byte_tokens_)[static_cast<unsigned char>(byte)]);
    } else if (unk_token_) {
      if (!find(*unk_token_)) {
        throw Error(file_, "has no token for " + in_quotes(character) + ", and its unk_token " +
                               in_quotes(*unk_token_) + " is not in model.vocab");
      }
      if (unknown && !fuse_unk_) add(*find(*unk_token_));
      unknown = true;
    }
  }
  if (unknown) add(*find(*unk_token_));
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
