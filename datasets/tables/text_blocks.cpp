#include "tables/text_blocks.h"

#include <arrow/buffer.h>
#include <arrow/csv/chunker.h>
#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/util/compression.h>

#include <algorithm>
#include <utility>

#include "schema/require.h"
#include "tables/arrow_status.h"

namespace sartor::datasets {
namespace {

constexpr size_t block_bytes = 1 << 20, longest_record = 64 << 20;

arrow::Compression::type compression_of(std::string_view file) {
  if (file.ends_with(".gz")) return arrow::Compression::GZIP;
  if (file.ends_with(".bz2")) return arrow::Compression::BZ2;
  if (file.ends_with(".zst")) return arrow::Compression::ZSTD;
  return arrow::Compression::UNCOMPRESSED;
}

std::shared_ptr<arrow::io::InputStream> open_stream(const std::string& file) {
  std::shared_ptr<arrow::io::InputStream> stream = value_of(arrow::io::ReadableFile::Open(file), file);
  const auto compression = compression_of(file);
  if (compression == arrow::Compression::UNCOMPRESSED) return stream;
  // The stream uses the codec when it is made, not later.
  const auto codec = value_of(arrow::util::Codec::Create(compression), file);
  return value_of(arrow::io::CompressedInputStream::Make(codec.get(), stream), file);
}

}  // namespace

TextBlocks::TextBlocks(std::string file, const arrow::csv::ParseOptions& form)
    : file_(std::move(file)),
      stream_(open_stream(file_)),
      quote_(form.newlines_in_values ? form.quote_char : '\0'),
      quoted_(arrow::csv::MakeChunker(form)) {
  auto plain = form;
  plain.newlines_in_values = false;
  lines_ = arrow::csv::MakeChunker(plain);
}

TextBlocks::~TextBlocks() = default;

int64_t TextBlocks::read(char* to, int64_t bytes) { return value_of(stream_->Read(bytes, to), file_); }

size_t TextBlocks::whole_records(std::string_view text) const {
  const bool has_quotes = quote_ && text.find(quote_) != text.npos;
  std::shared_ptr<arrow::Buffer> whole, partial;
  check((has_quotes ? quoted_ : lines_)->Process(std::make_shared<arrow::Buffer>(text), &whole, &partial), file_);
  return whole->size();
}

std::string TextBlocks::next() {
  std::string text = std::exchange(rest_, {});
  while (!ended_) {
    const size_t had = text.size(), more = std::max(block_bytes, had);
    text.resize(had + more);
    text.resize(had + read(text.data() + had, more));
    ended_ = text.size() == had;
    for (char c; !ended_ && text.back() == '\r' && read(&c, 1) == 1;) text += c;  // \r\n must not end up in two blocks
    if (std::exchange(first_, false)) {
      require(!text.starts_with("\xff\xfe") && !text.starts_with("\xfe\xff"), "{}: is UTF-16; UTF-8 is expected",
              file_);
      if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
    }
    if (ended_) break;
    if (const size_t whole = whole_records(text)) {
      rest_ = text.substr(whole);
      text.resize(whole);
      offset_ += static_cast<int64_t>(whole);
      return text;
    }
    require(text.size() < longest_record, "{}: the record at byte {} has no end within {} MiB; is a quote open?", file_,
            offset_, longest_record >> 20);
  }
  require(whole_records(text + '\n') > text.size(),
          "{}: the record at byte {} opens a quote that is never closed: {:.60}", file_, offset_,
          std::string_view(text).substr(0, text.find_first_of("\r\n")));
  return text;
}

}  // namespace sartor::datasets
