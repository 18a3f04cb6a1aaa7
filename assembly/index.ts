export { multiplyAdd } from "./lanes"
