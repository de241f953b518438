// SPDX-License-Identifier: Apache-2.0
// Measured values of one thing.
#ifndef POSTERN_TESTS_BENCH_SAMPLES_H_
#define POSTERN_TESTS_BENCH_SAMPLES_H_

#include <string>
#include <vector>

namespace postern::bench {

class Samples {
 public:
  void Add(double value) { values_.push_back(value); }
  void Add(const Samples& others) {
    values_.insert(values_.end(), others.values_.begin(), others.values_.end());
  }
  bool empty() const { return values_.empty(); }
  size_t size() const { return values_.size(); }
  // Of what was added; 0 where nothing was. `share` from 0 to 1.
  double Quantile(double share) const;
  double Median() const { return Quantile(0.5); }

 private:
  std::vector<double> values_;
};

// "812 ns", "19.4 µs", "3.1 ms".
std::string Nanoseconds(double ns);

// Right-aligned columns below headings; the first is aligned left.
class Report {
 public:
  explicit Report(std::vector<std::string> headings) { rows_.push_back(std::move(headings)); }
  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string Text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_SAMPLES_H_
