using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;

namespace Isthmus.Kubernetes.Client;

/// <summary>Runs the credential program in a user's own kubeconfig (client.authentication.k8s.io). It never runs one from a
/// remote secret.</summary>
internal static class ExecCredentials
{
    internal static async Task<string> TokenAsync(ExecCredential exec, CancellationToken stop)
    {
        var start = new ProcessStartInfo(exec.Command, exec.Args) { RedirectStandardOutput = true };
        foreach (var (name, value) in exec.Env) start.Environment[name] = value;
        start.Environment["KUBERNETES_EXEC_INFO"] =
            new JsonObject
            {
                ["apiVersion"] = exec.ApiVersion, ["kind"] = "ExecCredential", ["spec"] = new JsonObject { ["interactive"] = false }
            }.ToJsonString();
        try
        {
            using var process = Process.Start(start)!;
            var output = await process.StandardOutput.ReadToEndAsync(stop);
            await process.WaitForExitAsync(stop);
            if (process.ExitCode == 0 && (string?)StrictJson.Parse(output)?["status"]?["token"] is { Length: > 0 } token) return token;
            throw new ProblemException($"users[].user.exec.command '{exec.Command}'", $"exited with {process.ExitCode} and returned no token",
                "run it yourself to see why");
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or JsonException)
        {
            throw new ProblemException($"users[].user.exec.command '{exec.Command}'", e.Message, "check that the program is installed", e);
        }
    }
}
