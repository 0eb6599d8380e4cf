#include "core/storage.h"

#include <algorithm>

#include "core/checked_rows.h"
#include "core/element_rows.h"
#include "core/f32_rows.h"

namespace attnlab {
namespace {

constexpr Codec kCodecs[] = {{.form = Codec::Form::f32},
                             {.form = Codec::Form::bf16},
                             {.form = Codec::Form::symmetric, .bits = 8},
                             {.form = Codec::Form::affine, .bits = 4, .group = 32}};

const Codec& codec_of(const std::string& element) {
  const auto found = std::ranges::find(element_names(), element);
  ATTNLAB_CHECK(found != element_names().end(), "an element type that the reader should have refused");
  return kCodecs[found - element_names().begin()];
}

RowFormat format_of(const StorageSpec& storage) {
  return {codec_of(storage.keys), codec_of(storage.values), storage.page};
}

std::unique_ptr<KvRows> rows_of(const StorageSpec& storage, const KvShape& shape, int sequences, int capacity) {
  if (storage.is_kivi()) return kivi_rows(storage.kivi, storage.page, shape, sequences, capacity);
  if (storage == StorageSpec{}) return f32_rows(shape, sequences, capacity);
  return element_rows(format_of(storage), shape, sequences, capacity);
}

}  // namespace

const std::vector<std::string>& element_names() {
  static const std::vector<std::string> names{"f32", "bf16", "int8", "int4"};  // as kCodecs
  return names;
}

std::string StorageSpec::text() const {
  std::string text = keys;
  if (is_kivi()) {
    text = "kivi:" + std::to_string(kivi.bits);
    if (kivi.group != KiviFormat{}.group) text += ",group:" + std::to_string(kivi.group);
    if (kivi.residual != KiviFormat{}.residual) text += ",residual:" + std::to_string(kivi.residual);
  } else if (keys != values || page != 0) {
    text = "k:" + keys + ",v:" + values;
  }
  return page == 0 ? text : text + ",page:" + std::to_string(page);
}

Rounding rounding(const StorageSpec& storage) {
  if (storage.is_kivi()) return Rounding::after_prompt;
  const RowFormat format = format_of(storage);
  const bool is_exact = format.keys.form == Codec::Form::f32 && format.values.form == Codec::Form::f32;
  return is_exact ? Rounding::none : Rounding::when_appended;
}

std::unique_ptr<KvRows> make_rows(const StorageSpec& storage, const KvShape& shape, int sequences, int capacity) {
  return checked_rows(rows_of(storage, shape, sequences, capacity), shape, sequences);
}

double row_bytes(const StorageSpec& storage, const KvShape& shape) {
  if (storage.is_kivi()) return kivi_row_bytes(storage.kivi, storage.page, shape);
  return element_row_bytes(format_of(storage), shape);
}

double list_bytes(const StorageSpec& storage, const KvShape& shape, int rows) {
  // Rows that wait for their group are held as they are: a bound for all of them.
  if (storage.is_kivi()) return std::max(row_bytes(storage, shape), row_bytes(StorageSpec{}, shape)) * rows;
  return element_list_bytes(format_of(storage), shape, rows);
}

}  // namespace attnlab
