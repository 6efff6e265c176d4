using System;

namespace Ivf
{
    /// <summary>
    /// Marks a static method that native code calls. Compilers that work ahead of time (Unity's IL2CPP, mono's AOT) look for
    /// an attribute of this name, in whatever namespace, and make the entry point beforehand.
    /// </summary>
    [AttributeUsage(AttributeTargets.Method)]
    internal sealed class MonoPInvokeCallbackAttribute : Attribute
    {
        internal MonoPInvokeCallbackAttribute(Type type)
        {
            Type = type;
        }

        internal Type Type { get; }
    }
}
