#include "text/write_texts.h"

#include <algorithm>
#include <optional>

#include "base/require.h"
#include "storage/atomic_file.h"
#include "storage/hdf5_file.h"
#include "storage/scratch_file.h"
#include "storage/stored_texts.h"
#include "text/generator_rows.h"

namespace sartor::text {
namespace {

// Divides a text into rows, each with the special tokens that surround the text.
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

// Tokenizes texts batch by batch.
class RowTokenizer {
 public:
  RowTokenizer(const Tokenizer& tokenizer, const TextsRequest& request, datasets::ScratchFile& scratch)
      : tokenizer_(tokenizer), request_(request), found_(tokenizer, scratch) {
    if (request.length.longer == LongTexts::cut) options_.truncation = {.max_length = request.length.max_length};
  }

  void add(const TextBatch& batch) {
    const std::vector<std::string_view> first(batch.texts.begin(), batch.texts.end()),
        pairs(batch.pairs.begin(), batch.pairs.end());
    const auto encoded = tokenizer_.encode(first, pairs, options_, request_.run);
    for (int64_t i = 0; i < batch.size(); i++) {
      add_text(encoded, i);
      found_.end_text(batch.rows[i]);
    }
  }

  TokenizedRows take() { return found_.take(); }

 private:
  void add_text(const Encodings& encoded, int64_t i) {
    const auto ids = encoded.row(i);
    if (ids.empty()) return;
    if (std::ssize(ids) > request_.length.max_length) {
      const auto special = std::span(encoded.special_mask).subspan(encoded.rows[i], ids.size());
      for (const auto& row : divided(ids, special, request_.length.max_length)) {
        add_row(row, std::ssize(row));
      }
    } else {
      const auto types = std::span(encoded.type_ids).subspan(encoded.rows[i], ids.size());
      add_row(ids, std::ranges::find(types, 1) - types.begin());
    }
  }

  void add_row(std::span<const int32_t> ids, int64_t second) {
    found_.add_row(ids, {.second = static_cast<int32_t>(second)});
  }

  const Tokenizer& tokenizer_;
  const TextsRequest& request_;
  EncodeOptions options_;
  RowCollector found_;
};

void count(const TextDivision& texts, const TokenizedRows& tokenized, int64_t max_length, TextReport& report) {
  for (const auto& text : texts.rows()) {
    report.empty += tokenized.begins[text.source] == tokenized.begins[text.source + 1];
    for (auto i = tokenized.begins[text.source]; i < tokenized.begins[text.source + 1]; i++) {
      const auto& row = tokenized.rows[i];
      report.full += row.length == max_length;
      report.tokens += row.length;
      report.unknown += row.unknown;
      report.counted += row.length - std::max(row.second, 1);
      report.bytes += row.bytes;
      report.cut += row.cut;
    }
  }
}

// Writes one part of the file after another.
class PartWriter {
 public:
  PartWriter(datasets::Hdf5File& file, const TextDivision& texts, const TokenizedRows& tokenized, LabelKind kind,
             bool generator, datasets::ScratchFile& scratch)
      : file_(file), texts_(texts), tokenized_(tokenized), kind_(kind), generator_(generator), scratch_(scratch) {}

  // Returns the number of rows.
  int64_t write(const std::string& group, datasets::Part part) {
    std::vector<const Tokens*> mine;
    std::vector<int64_t> offsets = {0}, sources;
    std::vector<int32_t> second, bytes;
    std::vector<float> labels, weights;
    for (const auto& text : texts_.rows()) {
      if (text.part != part) continue;
      for (auto row = tokenized_.begins[text.source]; row < tokenized_.begins[text.source + 1]; row++) {
        mine.push_back(&tokenized_.rows[row]);
        offsets.push_back(offsets.back() + mine.back()->length);
        sources.push_back(tokenized_.sources[text.source]);
        second.push_back(mine.back()->second);
        append_labels(text, labels);
        bytes.push_back(mine.back()->bytes);
        if (!tokenized_.weights.empty()) weights.push_back(tokenized_.weights[text.source]);
      }
    }
    const auto rows = std::ssize(mine), classes = std::ssize(texts_.names());
    file_.create_list<int64_t>(group + "/offsets", rows + 1).write(0, offsets);
    file_.create_list<int64_t>(group + "/sources", rows).write(0, sources);
    file_.create_list<int32_t>(group + "/second", rows).write(0, second);
    if (classes > 0) file_.create_matrix<float>(group + "/labels", rows, classes).write(0, labels);
    if (generator_) file_.create_list<int32_t>(group + "/bytes", rows).write(0, bytes);
    if (std::ranges::any_of(weights, [](float weight) { return weight != 1; })) {
      file_.create_list<float>(group + "/weights", rows).write(0, weights);
    }
    write_ids(group, mine, offsets.back());
    return rows;
  }

 private:
  void append_labels(const TextDivision::Row& text, std::vector<float>& labels) const {
    const auto classes = std::ssize(texts_.names());
    labels.resize(labels.size() + classes);
    const auto last = labels.end() - classes;
    if (kind_ == LabelKind::regression) *last = text.number;
    for (const auto number : texts_.classes(text)) last[number] = 1;
  }

  void write_ids(const std::string& group, const std::vector<const Tokens*>& rows, int64_t size) {
    constexpr int64_t slab = int64_t(1) << 18;
    auto stored = file_.create_list<int32_t>(group + "/ids", size);
    std::vector<int32_t> ids;
    int64_t written = 0;
    for (size_t i = 0; i < rows.size(); i++) {
      const auto before = std::ssize(ids);
      ids.resize(before + rows[i]->length);
      scratch_.read(rows[i]->begin, std::span(ids).subspan(before));
      if (std::ssize(ids) < slab && i + 1 < rows.size()) continue;
      stored.write(written, ids);
      written += std::ssize(ids);
      ids.clear();
    }
  }

  datasets::Hdf5File& file_;
  const TextDivision& texts_;
  const TokenizedRows& tokenized_;
  const LabelKind kind_;
  const bool generator_;
  datasets::ScratchFile& scratch_;
};

void require_divisible(const TextConfig& config, const Tokenizer& tokenizer, RowLength length) {
  if (length.longer != LongTexts::divide) return;
  require(!config.pair, "longer is divide, but text pairs can only be cut");
  const auto special = std::ssize(tokenizer.encode("").ids);
  require(length.max_length > special, "max_length is {}, but the special tokens alone take {}", length.max_length,
          special);
}

void write_generation(datasets::Hdf5File& file, const Generation& generation) {
  file.set_attribute("content", std::string(name_of(generation.content)));
  file.set_attribute("chat", std::string(name_of(generation.chat.format)));
  if (generation.chat.system) file.set_attribute("system", *generation.chat.system);
  if (generation.config.rejected) file.set_attribute("rejected", *generation.config.rejected);
  if (!generation.end.empty()) file.set_attribute("end", int64_t{generation.end.front()});
}

void write_attributes(datasets::Hdf5File& file, const TextConfig& config, const Tokenizer& tokenizer,
                      const TextsRequest& request, const datasets::Provenance& provenance) {
  file.set_schema(datasets::texts_schema,
                  request.generation ? datasets::generator_texts_version : datasets::texts_version);
  file.set_attribute("provenance", provenance.json);
  file.set_attribute("data_hash", provenance.data_hash);
  file.set_attribute("tokenizer_hash", hash_of(tokenizer.spec()));
  file.set_attribute("label_kind", std::string(name_of(config.label.kind)));
  file.set_attribute("max_length", request.length.max_length);
  file.set_attribute("text", config.text);
  if (config.pair) file.set_attribute("pair", *config.pair);
  if (request.generation) write_generation(file, *request.generation);
}

void require_weight(const TextDivision& texts, const TokenizedRows& tokenized) {
  const auto counts = [&](const TextDivision::Row& row) {
    return row.part == datasets::Part::train && tokenized.weights[row.source] > 0;
  };
  require(tokenized.weights.empty() || std::ranges::any_of(texts.rows(), counts),
          "the weights of all training rows are 0, expected at least one above 0");
}

// Reads and tokenizes all rows.
template <class Rows> TokenizedRows tokenize_all(Rows rows, TextSource& source, TextDivision& texts) {
  for (TextBatch batch; source.next(batch);) {
    rows.add(batch);  // may remove rows
    texts.add(batch);
  }
  return rows.take();
}

}  // namespace

TextReport write_texts(const std::filesystem::path& path, TextSource& source, const TextConfig& config,
                       const Tokenizer& tokenizer, const TextsRequest& request) {
  const RowLength length = request.length;
  const auto* generation = request.generation ? &*request.generation : nullptr;
  if (!generation) require_divisible(config, tokenizer, length);
  TextReport report;
  datasets::ScratchFile scratch(std::filesystem::absolute(path).parent_path());
  TextDivision texts(config, request.split, generation ? &generation->config : nullptr);
  const auto tokenized =
      generation ? tokenize_all(GeneratorRows(tokenizer, *generation, length, request.run, scratch, source.rejects()),
                                source, texts)
                 : tokenize_all(RowTokenizer(tokenizer, request, scratch), source, texts);
  static_cast<RowCounts&>(report) = texts.divide(request.duplicates, source.rejects());
  count(texts, tokenized, length.max_length, report);
  require_weight(texts, tokenized);

  datasets::AtomicFile atomic(path);
  auto file = datasets::Hdf5File::create(atomic.temporary());
  write_attributes(file, config, tokenizer, request, request.describe(report));
  if (!texts.names().empty()) {
    const std::vector<std::string_view> names(texts.names().begin(), texts.names().end());
    file.create_strings("/labels", std::ssize(names)).write(0, names);
  }
  PartWriter parts(file, texts, tokenized, config.label.kind, generation != nullptr, scratch);
  report.train = parts.write("/train", datasets::Part::train);
  report.validation = parts.write("/validation", datasets::Part::validation);
  report.test = parts.write("/test", datasets::Part::test);
  require(report.train > 0, "nothing is left for training: {} texts have no tokens", report.empty);
  file.close();
  atomic.commit();
  return report;
}

}  // namespace sartor::text
