#include "storage/sha256.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "storage/watched_files.h"

namespace sartor::datasets {
namespace {

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    check(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void add(const void* data, size_t size) { check(EVP_DigestUpdate(context_.get(), data, size) == 1); }
  std::string finish() {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    check(EVP_DigestFinal_ex(context_.get(), bytes, &size) == 1);
    std::string text;
    for (unsigned i = 0; i < size; i++) text += fmt::format("{:02x}", bytes[i]);
    return text;
  }

 private:
  static void check(bool done) {
    if (!done) throw std::runtime_error("OpenSSL cannot compute a SHA-256");
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256(std::string_view text) {
  Digest digest;
  digest.add(text.data(), text.size());
  return digest.finish();
}

std::string sha256_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw std::system_error(errno, std::generic_category(), path.string());
  Digest digest;
  std::vector<char> buffer(1 << 20);
  size_t bytes = 0;
  while (const size_t size = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    digest.add(buffer.data(), size);
    bytes += size;
  }
  if (std::ferror(file.get())) throw std::system_error(errno, std::generic_category(), path.string());
  if (std::filesystem::is_regular_file(path) && std::filesystem::file_size(path) != bytes) throw_changed(path);
  return digest.finish();
}

}  // namespace sartor::datasets
