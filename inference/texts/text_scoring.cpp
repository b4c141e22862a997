#include "texts/text_scoring.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "core/parallel_for.h"
#include "jobs/job_parts.h"
#include "models/hf/text_input.h"
#include "runtime/process_group.h"
#include "runtime/progress.h"
#include "runtime/signals.h"
#include "schema/log.h"
#include "storage/watched_files.h"
#include "tables/presets.h"
#include "tables/rejects.h"
#include "text/template.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;
using text::TextWindow;

// What --resume may change: where and on what the job goes on, and what its files are called, as their contents are
// compared.
const std::vector<std::string> may_change = {"device", "threads", "batch_tokens", "window",     "ddp_timeout",
                                             "output", "rejects", "model",        "source.path"};

// All whose contents decide the result: the source's files and the model's.
std::vector<fs::path> files_of(const TextScoringConfig& config, const fs::path& folder) {
  require_readable_twice(config.source, "for its SHA-256");
  std::vector<fs::path> files;
  for (const auto& file : datasets::table_files(config.source)) files.emplace_back(file);
  const auto begin = std::ssize(files);
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto kind = entry.path().extension();
    if (kind == ".json" || kind == ".txt" || kind == ".safetensors") files.push_back(entry.path());
  }
  std::sort(files.begin() + begin, files.end());
  return files;
}

// One of text, pair and max_length: that of training, if it is known, or what the config says where that is the same or
// may differ.
template <class Value> std::optional<Value> agreed(const TextScoringConfig& config, std::string_view name,
                                                   const std::optional<Value>& given,
                                                   const std::optional<Value>& trained) {
  require(!given || !trained || config.other_input || given == trained,
          "{} is {}, but {} was trained with {}: leave it out to take that, or set other_input: true", name,
          given.value_or(Value()), config.model, trained.value_or(Value()));
  return given ? given : trained;
}

// How texts are made and where they are cut.
hf::TextInput input_of(const TextScoringConfig& config, const fs::path& folder) {
  const auto trained = hf::read_text_input(folder);
  hf::TextInput input = {config.text.value_or("{text}"), config.pair, config.max_length};
  if (trained) {
    input = {.text = *agreed(config, "text", config.text, std::optional(trained->text)),
             .pair = agreed(config, "pair", config.pair, std::optional(trained->pair.value_or(""))),
             .max_length = agreed(config, "max_length", config.max_length, trained->max_length)};
  }
  if (input.pair && input.pair->empty()) input.pair.reset();
  return input;
}

// The folder's tokenizer with how it is to be used.
struct Encoder {
  text::Tokenizer tokenizer;
  text::EncodeOptions options;
};

Encoder open_tokenizer(const hf::TextInput& input, const fs::path& folder, const bert::BertConfig& model) {
  const int64_t longest = model.longest_sequence(), length = input.max_length.value_or(longest);
  require(length <= longest, "max_length is {}, {} takes {}", length, folder.string(), longest);
  Encoder encoder = {text::Tokenizer(text::read_tokenizer(folder)),
                     {.truncation = text::Truncation{.max_length = length}}};
  require(encoder.tokenizer.vocabulary_size() <= model.vocab_size, "{}: the tokenizer has {} ids, the model {}",
          folder.string(), encoder.tokenizer.vocabulary_size(), model.vocab_size);
  // what cannot be done with any row is found before the first
  const auto tried =
      input.pair ? encoder.tokenizer.encode("a", "a", encoder.options) : encoder.tokenizer.encode("a", encoder.options);
  const auto types = std::ranges::max_element(tried.type_ids);
  require(types == tried.type_ids.end() || *types < model.type_vocab_size,
          "{}: the tokenizer gives token type {}, the model has {}", folder.string(), int{*types},
          model.type_vocab_size);
  return encoder;
}

// Rows ready for the model. The texts are gone.
struct Encoded {
  TextWindow window;
  text::Encodings tokens;
};

// Reads and tokenizes the next rows while the last ones are scored.
class Ahead {
 public:
  Ahead(text::TextRows& rows, const Encoder& encoder, int threads) : rows_(rows), encoder_(encoder), threads_(threads) {
    start();
  }

  std::optional<Encoded> next() {
    auto found = reading_.get();
    if (found) start();
    return found;
  }

 private:
  void start() {
    reading_ = std::async(std::launch::async, [this] { return read(); });
  }

  std::optional<Encoded> read() const {
    Encoded found;
    if (!rows_.next(found.window)) return {};
    auto& [window, tokens] = found;
    tokens = encoder_.tokenizer.encode(window.texts.views(), window.pairs.views(), encoder_.options,
                                       cuda::tasks_on(threads_));
    window.texts = window.pairs = {};
    return found;
  }

  text::TextRows& rows_;
  const Encoder& encoder_;
  const int threads_;
  std::future<std::optional<Encoded>> reading_;
};

// The parts of this rank as they are made, one after the other.
class PartWriter {
 public:
  PartWriter(const JobParts& parts, TextOutput& output) : parts_(parts), output_(output) {}

  void append(const TextWindow& window, std::vector<float> values) {
    if (!open_) output_.begin(parts_.part(window.part));
    open_ = !window.ends_part;
    for (const auto& [file, row, reason, text] : window.unfit) {
      if (!rejects_) rejects_.emplace(parts_.rejects(window.part));
      rejects_->add(file, row, reason, text);
    }
    output_.append(window, std::move(values));
    if (open_) return;
    if (rejects_) rejects_->finish();  // first: the part is done when its output is there
    rejects_.reset();
    output_.end();
  }

 private:
  const JobParts& parts_;
  TextOutput& output_;
  bool open_ = false;
  std::optional<datasets::Rejects> rejects_;  // of the open part, if it has any
};

void look_at_signals(const TextScoringConfig& config) {
  if (const int signal = stop_signal()) {
    throw Stopped(signal, fmt::format("stopped by {}: --resume continues {}", signal_name(signal), config.output));
  }
}

struct Counts {
  int64_t rows = 0, tokens = 0, cut = 0;
};

// This rank's share of the parts.
Counts score_share(const TextScoringConfig& config, const TextTask& task, const JobParts& parts, Ahead& ahead,
                   const Collective& ranks) {
  Counts counts;
  std::optional<Progress> progress;
  if (ranks.first()) progress.emplace("row", 0);
  const auto show = [&](int64_t done) {
    look_at_signals(config);
    if (progress) progress->update(counts.rows + done, ranks.size() > 1 ? "of this rank" : "");
  };
  PartWriter writer(parts, *task.output);
  while (const auto next = ahead.next()) {
    const auto& [window, tokens] = *next;
    writer.append(window, task.model.score(tokens, config.batch_tokens, show));
    counts.rows += window.size();
    counts.tokens += std::ssize(tokens.ids);
    counts.cut += tokens.cut;
    show(0);
  }
  return counts;
}

// Of all ranks, once each has done its share.
std::vector<double> sum_of(const Counts& counts, const TextScoringConfig& config, Collective& ranks) {
  try {
    return ranks.sum(
        {static_cast<double>(counts.rows), static_cast<double>(counts.tokens), static_cast<double>(counts.cut)});
  } catch (...) {  // the others may have been stopped before they came here
    look_at_signals(config);
    throw;
  }
}

}  // namespace

void TextScoringConfig::check() const {
  for (const auto& pattern : {text, pair}) {
    if (pattern) text::Template{*pattern};
  }
}

std::vector<fs::path> TextScoringConfig::reads() const {
  auto paths = datasets::files_to_read(source);
  paths.emplace_back(model);
  return paths;
}

void score_texts(const TextScoringConfig& config, const TextScoring& scoring, const Invocation& invocation) {
  const auto runtime = make_runtime(config, Compute::libtorch);
  ProcessGroup ranks(runtime.ranks, /*gpu=*/false, std::chrono::seconds(config.ddp_timeout));
  JobParts parts({.output = config.output,
                  .rejects = config.rejects_path(),
                  .record = config.record_path(),
                  .extension = scoring.part_extension,
                  .ranks = &ranks,
                  .launch = runtime.launch,
                  .resume = invocation.resume,
                  .overwrite = invocation.overwrite});
  const auto folder = model_folder(config.model);
  if (parts.complete()) {
    parts.check_complete(scoring.config, may_change, files_of(config, folder));
    return ranks.first() ? log_info("{} is already complete", config.output) : void();
  }

  const auto input = input_of(config, folder);
  text::TextRows rows({.source = config.source,
                       .text = input.text,
                       .pair = input.pair,
                       .keep = scoring.keep,
                       .id = scoring.id,
                       .rows_per_part = config.rows_per_part,
                       .window = config.window},
                      [&](int64_t part) { return parts.mine(part); });
  const auto task = scoring.open(folder, runtime.gpu);
  const auto encoder = open_tokenizer(input, folder, task.model.config());
  const auto files = files_of(config, folder);
  const datasets::WatchedFiles watched(files);
  parts.begin(scoring.config, may_change, files);
  if (ranks.first()) {
    for (const auto& line : task.model.ignored()) log_info("{}", line);
    log_info("device: {}", runtime.device);
  }

  const auto start = std::chrono::steady_clock::now();
  Ahead ahead(rows, encoder, runtime.threads);
  const auto counts = score_share(config, task, parts, ahead, ranks);
  watched.check();
  const auto sums = sum_of(counts, config, ranks);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  int64_t written = 0;
  const int64_t rejected = parts.finish(rows.parts(), [&](const auto& paths) {
    written = task.output->join(paths, config.output, [&] { look_at_signals(config); });
  });
  if (!ranks.first()) return;
  log_info("{}: {} rows; {} rejected; {:.0f} scored now, {:.0f} rows/s, {:.0f} tokens/s", config.output, written,
           rejected, sums[0], sums[0] / seconds.count(), sums[1] / seconds.count());
  if (sums[2] > 0) {
    log_warning("{:.0f} of the {:.0f} rows scored now were cut at max_length {}", sums[2], sums[0],
                encoder.options.truncation->max_length);
  }
  if (rejected > 0) log_warning("{} says why rows were rejected", config.rejects_path());
}

}  // namespace sartor::inference
