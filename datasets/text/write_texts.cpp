#include "text/write_texts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "storage/atomic_file.h"
#include "storage/hdf5_file.h"
#include "storage/stored_texts.h"

namespace sartor::datasets {
namespace {

namespace fs = std::filesystem;

// Token ids that wait on disk until their part is known: a nameless file, gone with the process.
class IdSpill {
 public:
  explicit IdSpill(const fs::path& folder) : folder_(folder.empty() ? "." : folder), file_(nullptr, std::fclose) {
    std::string name = (folder_ / ".texts-XXXXXX").string();
    const int descriptor = mkstemp(name.data());
    check(descriptor >= 0, "make");
    unlink(name.c_str());
    file_.reset(fdopen(descriptor, "w+"));
    check(file_ != nullptr, "open");
  }

  int64_t append(std::span<const int32_t> ids) {
    check(fwrite(ids.data(), sizeof(int32_t), ids.size(), file_.get()) == ids.size(), "write");
    return std::exchange(size_, size_ + std::ssize(ids));
  }
  void read(int64_t at, std::span<int32_t> ids) {
    if (at != at_) check(fseeko(file_.get(), at * static_cast<int64_t>(sizeof(int32_t)), SEEK_SET) == 0, "read");
    check(fread(ids.data(), sizeof(int32_t), ids.size(), file_.get()) == ids.size(), "read");
    at_ = at + std::ssize(ids);
  }

 private:
  void check(bool done, const char* action) const {
    if (done) return;
    const std::error_code error(errno, std::generic_category());
    throw std::system_error(error, fmt::format("cannot {} a temporary file in {}", action, folder_.string()));
  }

  fs::path folder_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  int64_t size_ = 0, at_ = -1;
};

// The ids of a row.
struct Tokens {
  int64_t spilled;  // their place
  int32_t length, second, unknown;
};

struct TokenizedRows {
  std::vector<Tokens> rows;
  std::vector<int64_t> begins = {0};  // text i has the rows begins[i] .. begins[i + 1] - 1
  std::vector<int64_t> sources;       // the texts' rows in the tables
};

// The rows of a text that is divided: each has the special tokens that stand around it.
std::vector<std::vector<int32_t>> divided(std::span<const int32_t> ids, std::span<const uint8_t> special,
                                          int64_t max_length) {
  const auto before = std::ranges::find(special, 0) - special.begin();
  const auto after = std::ranges::find(special.rbegin(), special.rend(), 0) - special.rbegin();
  const auto room = max_length - before - after, within = std::ssize(ids) - before - after;
  const auto count = (within + room - 1) / room;
  std::vector<std::vector<int32_t>> rows;
  for (int64_t i = 0; i < count; i++) {
    const auto begin = within * i / count, end = within * (i + 1) / count;
    auto& row = rows.emplace_back(ids.begin(), ids.begin() + before);
    row.insert(row.end(), ids.begin() + before + begin, ids.begin() + before + end);
    row.insert(row.end(), ids.end() - after, ids.end());
  }
  return rows;
}

TokenizedRows tokenize(TextSource& source, const text::Tokenizer& tokenizer, RowLength length,
                       const text::RunTasks& run, TextDivision& texts, IdSpill& spill) {
  TokenizedRows found;
  const auto unknown = tokenizer.id_of(tokenizer.spec().unk_token);
  text::EncodeOptions options;
  if (length.longer == LongTexts::cut) options.truncation = {.max_length = length.max_length};
  const auto add = [&](std::span<const int32_t> ids, int64_t second) {
    found.rows.push_back({.spilled = spill.append(ids),
                          .length = static_cast<int32_t>(ids.size()),
                          .second = static_cast<int32_t>(second),
                          .unknown = unknown ? static_cast<int32_t>(std::ranges::count(ids, *unknown)) : 0});
  };
  for (TextBatch batch; source.next(batch);) {
    texts.add(batch);
    found.sources.insert(found.sources.end(), batch.rows.begin(), batch.rows.end());
    const std::vector<std::string_view> first(batch.texts.begin(), batch.texts.end()),
        pairs(batch.pairs.begin(), batch.pairs.end());
    const auto encoded = tokenizer.encode(first, pairs, options, run);
    for (int64_t i = 0; i < batch.size(); i++) {
      const auto ids = encoded.row(i);
      if (std::ssize(ids) > length.max_length) {
        const auto special = std::span(encoded.special_mask).subspan(encoded.rows[i], ids.size());
        for (const auto& row : divided(ids, special, length.max_length)) add(row, std::ssize(row));
      } else {
        const auto types = std::span(encoded.type_ids).subspan(encoded.rows[i], ids.size());
        add(ids, std::ranges::find(types, 1) - types.begin());
      }
      found.begins.push_back(std::ssize(found.rows));
    }
  }
  return found;
}

void count(const TextDivision& texts, const TokenizedRows& tokenized, int64_t max_length, TextReport& report) {
  for (const auto& text : texts.rows()) {
    for (auto i = tokenized.begins[text.source]; i < tokenized.begins[text.source + 1]; i++) {
      const auto& row = tokenized.rows[i];
      report.full += row.length == max_length;
      report.tokens += row.length;
      report.unknown += row.unknown;
    }
  }
}

// Returns the rows.
int64_t write_part(Hdf5File& file, const std::string& group, const TextDivision& texts, const TokenizedRows& tokenized,
                   Part part, bool regression, IdSpill& spill) {
  std::vector<const Tokens*> mine;
  std::vector<int64_t> offsets = {0}, sources;
  std::vector<int32_t> second;
  std::vector<float> labels;
  const auto classes = std::ssize(texts.names());
  for (const auto& text : texts.rows()) {
    if (text.part != part) continue;
    for (auto row = tokenized.begins[text.source]; row < tokenized.begins[text.source + 1]; row++) {
      mine.push_back(&tokenized.rows[row]);
      offsets.push_back(offsets.back() + mine.back()->length);
      sources.push_back(tokenized.sources[text.source]);
      second.push_back(mine.back()->second);
      labels.resize(labels.size() + classes);
      const auto last = labels.end() - classes;
      if (regression) *last = text.number;
      for (const auto number : texts.classes(text)) last[number] = 1;
    }
  }
  const auto rows = std::ssize(mine);
  file.create_list<int64_t>(group + "/offsets", rows + 1).write(0, offsets);
  file.create_list<int64_t>(group + "/sources", rows).write(0, sources);
  file.create_list<int32_t>(group + "/second", rows).write(0, second);
  if (classes > 0) file.create_matrix<float>(group + "/labels", rows, classes).write(0, labels);

  auto stored = file.create_list<int32_t>(group + "/ids", offsets.back());
  constexpr int64_t slab = int64_t(1) << 18;
  std::vector<int32_t> ids;
  int64_t written = 0;
  for (int64_t i = 0; i < rows; i++) {
    const auto before = std::ssize(ids);
    ids.resize(before + mine[i]->length);
    spill.read(mine[i]->spilled, std::span(ids).subspan(before));
    if (std::ssize(ids) < slab && i + 1 < rows) continue;
    stored.write(written, ids);
    written += std::ssize(ids);
    ids.clear();
  }
  return rows;
}

}  // namespace

TextReport write_texts(const fs::path& path, TextSource& source, const TextConfig& config,
                       const text::Tokenizer& tokenizer, RowLength length, TextDuplicates duplicates,
                       const TextSplitConfig& split, const TextsProvenance& provenance, const text::RunTasks& run) {
  if (length.longer == LongTexts::divide) {
    require(!config.pair, "longer is divide, and texts with a pair can only be cut");
    const auto special = std::ssize(tokenizer.encode("").ids);
    require(length.max_length > special, "max_length is {}, and special tokens alone are {}", length.max_length,
            special);
  }
  TextReport report;
  IdSpill spill(fs::absolute(path).parent_path());
  TextDivision texts(config, split);
  const auto tokenized = tokenize(source, tokenizer, length, run, texts, spill);
  static_cast<RowCounts&>(report) = texts.divide(duplicates, source.rejects());
  count(texts, tokenized, length.max_length, report);

  AtomicFile atomic(path);
  auto file = Hdf5File::create(atomic.temporary());
  const auto [json, data_hash] = provenance.describe(report);
  const bool regression = config.label.kind == LabelKind::regression;
  file.set_schema(texts_schema, texts_version);
  file.set_attribute("provenance", json);
  file.set_attribute("data_hash", data_hash);
  file.set_attribute("tokenizer_hash", provenance.tokenizer_hash);
  file.set_attribute("label_kind", std::string(name_of(config.label.kind)));
  file.set_attribute("max_length", length.max_length);
  file.set_attribute("text", config.text);
  if (config.pair) file.set_attribute("pair", *config.pair);
  if (!texts.names().empty()) {
    const std::vector<std::string_view> names(texts.names().begin(), texts.names().end());
    file.create_strings("/labels", std::ssize(names)).write(0, names);
  }
  report.train = write_part(file, "/train", texts, tokenized, Part::train, regression, spill);
  report.validation = write_part(file, "/validation", texts, tokenized, Part::validation, regression, spill);
  report.test = write_part(file, "/test", texts, tokenized, Part::test, regression, spill);
  file.close();
  atomic.commit();
  return report;
}

}  // namespace sartor::datasets
