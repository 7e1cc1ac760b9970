using System.Text.Json.Nodes;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Samples.Echo;

/// <summary>Where an echo server runs, as its manifest says it.</summary>
public sealed record EchoContext(string Namespace, string Ingress, string Service, string Pod)
{
    public static EchoContext Read(Func<string, string?> environment) => new(
        environment("NAMESPACE") ?? "", environment("INGRESS_NAME") ?? "", environment("SERVICE_NAME") ?? "", environment("POD_NAME") ?? "");

    public void AddTo(JsonObject answer)
    {
        answer["namespace"] = Namespace;
        answer["ingress"] = Ingress;
        answer["service"] = Service;
        answer["pod"] = Pod;
    }

    /// <exception cref="ProblemException">The variable is not a port.</exception>
    public static int Port(Func<string, string?> environment, string name, int otherwise) =>
        environment(name) is not { Length: > 0 } text ? otherwise
        : PortNumber.TryParse(text, out var port) && port > 0
        ? port
        : throw new ProblemException("echo-basic", $"{name}: '{text}' is not a port", "set it to a number between 1 and 65535");
}
