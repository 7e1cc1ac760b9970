using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;

namespace Isthmus.Lab.ApiServer.Hosting;

/// <summary>What the parts of one API server share.</summary>
public sealed record ApiServerContext(ApiServerSettings Settings, KindRegistry Kinds, IObjectStore Store, TimeProvider Time, Random Random);
