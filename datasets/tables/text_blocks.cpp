#include "tables/text_blocks.h"

#include <arrow/buffer.h>
#include <arrow/csv/chunker.h>
#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/util/compression.h>
#include <arrow/util/io_util.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <utility>

#include "base/require.h"
#include "encodings/printable.h"
#include "tables/arrow_status.h"
#include "tables/table_files.h"

namespace sartor::datasets {
namespace {

constexpr size_t block_bytes = 1 << 20, longest_record = 64 << 20;

arrow::Compression::type compression_of(const std::string& file) {
  const std::string ending = ending_of(file);
  if (ending == ".gz") return arrow::Compression::GZIP;
  if (ending == ".bz2") return arrow::Compression::BZ2;
  if (ending == ".zst") return arrow::Compression::ZSTD;
  return arrow::Compression::UNCOMPRESSED;
}

// Sequential input, because Arrow's files need to know their size.
class PipeStream final : public arrow::io::InputStream {
 public:
  explicit PipeStream(const std::string& file)
      : file_(file == standard_input ? fdopen(dup(STDIN_FILENO), "rb") : std::fopen(file.c_str(), "rb"), std::fclose) {
    if (!file_) throw std::system_error(errno, std::generic_category(), file);
  }

  arrow::Status Close() override { return file_.reset(), arrow::Status::OK(); }
  bool closed() const override { return !file_; }
  arrow::Result<int64_t> Tell() const override { return given_; }
  arrow::Result<int64_t> Read(int64_t bytes, void* out) override {
    const auto size = static_cast<int64_t>(std::fread(out, 1, bytes, file_.get()));
    if (std::ferror(file_.get())) return arrow::internal::IOErrorFromErrno(errno, "it cannot be read");
    given_ += size;
    return size;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::ResizableBuffer> buffer, arrow::AllocateResizableBuffer(bytes));
    ARROW_ASSIGN_OR_RAISE(const int64_t size, Read(bytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(size));
    return buffer;
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  int64_t given_ = 0;
};

std::shared_ptr<arrow::io::InputStream> open_stream(const std::string& file) {
  std::shared_ptr<arrow::io::InputStream> stream;
  if (readable_once(file)) {
    stream = std::make_shared<PipeStream>(file);
  } else {
    stream = value_of(arrow::io::ReadableFile::Open(file), file);
  }
  const auto compression = compression_of(file);
  if (compression == arrow::Compression::UNCOMPRESSED) return stream;
  // The codec is only needed during Make.
  const auto codec = value_of(arrow::util::Codec::Create(compression), file);
  return value_of(arrow::io::CompressedInputStream::Make(codec.get(), stream), file);
}

}  // namespace

TextBlocks::TextBlocks(std::string file, const TableLayout& layout, const arrow::csv::ParseOptions& form)
    : file_(std::move(file)),
      stream_(open_stream(file_)),
      quote_(form.newlines_in_values ? form.quote_char : '\0'),
      quoted_(arrow::csv::MakeChunker(form)) {
  auto plain = form;
  plain.newlines_in_values = false;
  lines_ = arrow::csv::MakeChunker(plain);
  read_beginning(layout);
}

TextBlocks::~TextBlocks() = default;

void TextBlocks::read_beginning(const TableLayout& layout) {
  const std::string bytes = read(block_bytes);
  encoding_ = layout.encoding;
  if (encoding_ == TextEncoding::automatic) {
    encoding_ = recognised_encoding(file_, bytes, bytes.size() < block_bytes, layout.otherwise);
  }
  const bool utf16 = bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff");
  require(!utf16 || encoding_ == TextEncoding::utf16, "{}: found UTF-16, expected {}; set encoding to utf-16 or auto",
          file_, name_of(encoding_));
  decoder_ = std::make_unique<Decoder>(encoding_);
  decoder_->append(bytes, ended_, beginning_);
  if (beginning_.starts_with("\xef\xbb\xbf")) beginning_.erase(0, 3);
}

std::string TextBlocks::read(size_t bytes) {
  std::string text(bytes, '\0');
  size_t size = 0;
  while (size < bytes) {
    const int64_t more = value_of(stream_->Read(static_cast<int64_t>(bytes - size), text.data() + size), file_);
    if (more == 0) break;
    size += more;
  }
  text.resize(size);
  ended_ = size == 0;
  return text;
}

void TextBlocks::append(size_t bytes, std::string& text) {
  if (!beginning_.empty()) {
    text += std::exchange(beginning_, {});
    return;
  }
  const std::string more = read(bytes);
  decoder_->append(more, ended_, text);
}

size_t TextBlocks::whole_records(std::string_view text) const {
  const bool has_quotes = quote_ && text.find(quote_) != text.npos;
  std::shared_ptr<arrow::Buffer> whole, partial;
  check((has_quotes ? quoted_ : lines_)->Process(std::make_shared<arrow::Buffer>(text), &whole, &partial), file_);
  return whole->size();
}

std::string TextBlocks::next() {
  std::string text = std::exchange(rest_, {});
  while (!ended_) {
    append(std::max(block_bytes, text.size()), text);
    while (!ended_ && text.ends_with('\r')) append(1, text);  // keeps \r\n in one block
    if (ended_) break;
    if (const size_t whole = whole_records(text)) {
      rest_ = text.substr(whole);
      text.resize(whole);
      offset_ += static_cast<int64_t>(whole);
      return text;
    }
    require(text.size() < longest_record, "{}: the record at byte {} has no end within {} MiB; is a quote unclosed?",
            file_, offset_, longest_record >> 20);
  }
  require(whole_records(text + '\n') > text.size(), "{}: the record at byte {} has an unclosed quote: {}", file_,
          offset_, printable(text.substr(0, text.find_first_of("\r\n")), 60));
  return text;
}

}  // namespace sartor::datasets
