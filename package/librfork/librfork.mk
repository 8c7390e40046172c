################################################################################
#
# librfork
#
################################################################################

# SPDX-License-Identifier: MIT

LIBRFORK_VERSION = 0.1.0
LIBRFORK_SITE = $(BR2_EXTERNAL_KOBOSHI_PATH)/librfork
LIBRFORK_SITE_METHOD = local
LIBRFORK_LICENSE = MIT
LIBRFORK_LICENSE_FILES = MIT.txt
LIBRFORK_INSTALL_STAGING = YES

# The licence is at the top of the repository, the package is one folder of it.
define LIBRFORK_ADD_LICENSE
	cp $(BR2_EXTERNAL_KOBOSHI_PATH)/LICENSES/MIT.txt $(@D)/
endef
LIBRFORK_POST_RSYNC_HOOKS += LIBRFORK_ADD_LICENSE

# Not build/: what a make in the repository left there came along with the source.
LIBRFORK_BUILD = $(@D)/objects
LIBRFORK_MAKE_OPTS = \
	BUILD=$(LIBRFORK_BUILD) \
	PREFIX=/usr \
	CC="$(TARGET_CC)" \
	STATIC_CC="$(TARGET_CC)" \
	AR="$(TARGET_AR)" \
	CFLAGS="$(TARGET_CFLAGS)" \
	LDFLAGS="$(TARGET_LDFLAGS)"

ifeq ($(BR2_PACKAGE_PYTHON3),y)
LIBRFORK_DEPENDENCIES += python3
LIBRFORK_PYTHON_MAKE_OPTS = \
	BUILD=$(LIBRFORK_BUILD)/python \
	LIBRFORK=$(LIBRFORK_BUILD)/librfork.a \
	PYTHON_INCLUDE=$(STAGING_DIR)/usr/include/python$(PYTHON3_VERSION_MAJOR) \
	PYTHONDIR=/usr/lib/koboshi \
	CC="$(TARGET_CC)" \
	CFLAGS="$(TARGET_CFLAGS)" \
	LDFLAGS="$(TARGET_LDFLAGS)"

define LIBRFORK_BUILD_PYTHON
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D)/python $(LIBRFORK_PYTHON_MAKE_OPTS)
endef

define LIBRFORK_INSTALL_PYTHON
	$(INSTALL) -D -m 0644 $(LIBRFORK_BUILD)/python/rfork.abi3.so \
		$(TARGET_DIR)/usr/lib/koboshi/rfork.abi3.so
endef
endif

define LIBRFORK_BUILD_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D) $(LIBRFORK_MAKE_OPTS) \
		all $(LIBRFORK_BUILD)/librfork-static.a
	$(LIBRFORK_BUILD_PYTHON)
endef

# librfork-static.a has sections that a static link can drop.
define LIBRFORK_INSTALL_STAGING_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D) $(LIBRFORK_MAKE_OPTS) \
		DESTDIR=$(STAGING_DIR) install
	$(INSTALL) -D -m 0644 $(LIBRFORK_BUILD)/librfork-static.a \
		$(STAGING_DIR)/usr/lib/librfork-static.a
endef

define LIBRFORK_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(LIBRFORK_BUILD)/librfork.so.0 \
		$(TARGET_DIR)/usr/lib/librfork.so.0
	$(INSTALL) -D -m 0755 $(LIBRFORK_BUILD)/rfork-run \
		$(TARGET_DIR)/usr/bin/rfork-run
	$(LIBRFORK_INSTALL_PYTHON)
endef

$(eval $(generic-package))
