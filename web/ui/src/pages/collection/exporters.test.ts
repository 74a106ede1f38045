import { describe, expect, it } from "vitest";
import { exporters, type Target } from "./exporters";

const OPEN: Target = { grpc: "127.0.0.1:4317", http: "127.0.0.1:4318", encryption: "none", keyed: false };

describe("settings of exporters", () => {
  it("name the port of their protocol", () => {
    for (const { name, code } of exporters(OPEN)) {
      const [own, other] = ["Environment", "Node.js"].includes(name) ? ["4318", "4317"] : ["4317", "4318"];
      expect(code, name).toContain(own);
      expect(code, name).not.toContain(other);
    }
  });

  it("mention a key and certificates only where they are needed", () => {
    for (const { name, code } of exporters(OPEN)) expect(code, name).not.toMatch(/Bearer|CERTIFICATE|https|ca_file/);
    for (const { name, code } of exporters({ ...OPEN, keyed: true })) expect(code, name).toContain("Bearer");
    for (const encryption of ["tls", "mutual_tls"] as const) {
      for (const { name, code } of exporters({ ...OPEN, encryption })) expect(code, name).not.toMatch(/http:\/\/|insecure|Insecure/);
    }
    const [environment] = exporters({ ...OPEN, encryption: "mutual_tls" });
    expect(environment?.code).toContain("OTEL_EXPORTER_OTLP_CLIENT_KEY");
  });

  it("have no empty lines where something does not apply", () => {
    for (const { name, code } of exporters(OPEN)) expect(code, name).not.toMatch(/false|undefined|\n\n\n/);
  });
});
