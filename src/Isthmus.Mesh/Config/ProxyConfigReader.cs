using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

internal static class ProxyConfigReader
{
    public static ProxyConfig Read(ObjectRef source, Field spec, long createdAt) =>
        new(source, spec["selector"]["matchLabels"].TextMap, spec["concurrency"].Int, spec["environmentVariables"].TextMap, createdAt);
}
