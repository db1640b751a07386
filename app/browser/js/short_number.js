// A number beside an axis: three digits, a power of ten where it is very small or large.
export function shortNumber(value) {
  if (value === 0) return "0"
  const size = Math.abs(value)
  if (size >= 0.01 && size < 10000) return String(Number(value.toPrecision(3))).replace("-", "−")
  const [digits, power] = value.toExponential(2).split("e")
  const raised = power.replace("+", "").replace(/./g, (sign) => sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])
  return `${Number(digits)}·10${raised}`.replace("-", "−")
}
